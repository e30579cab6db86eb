import { randomUUID } from "node:crypto";
import { access, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { NavvyError } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";
import type { Engine } from "./engine.js";

const PROBE = ".navvy-probe";

/** Whether this process runs in a container itself. */
async function isInContainer(): Promise<boolean> {
  const marks = await Promise.all(
    ["/.dockerenv", "/run/.containerenv"].map((path) =>
      access(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  return marks.includes(true);
}

/**
 * An agent in a container starts containers beside itself, and its engine finds the work folder under another path than the agent does.
 * That path must be given, and is tried: a file that the agent writes here must be read there. An engine that does not know the
 * agent's container runs in it, and finds what the agent finds.
 *
 * @throws NavvyError invalid_argument
 */
export async function checkHostWorkDir(engine: Engine, config: Pick<AgentConfig, "workDir" | "hostWorkDir">): Promise<void> {
  const { workDir, hostWorkDir } = config;
  const beside = (await isInContainer()) ? await engine.look(await ownContainer()) : undefined;
  if (!beside && hostWorkDir === undefined) return;
  if (hostWorkDir === undefined)
    throw new NavvyError("invalid_argument", "this agent runs in a container, and its tasks' containers would not find their folders", {
      why: `${engine.name} runs on the host and does not know ${workDir} of this container`,
      fix: [
        `--host-work-dir DIR   the folder of the host that is mounted at ${workDir} here (mount it: --volume DIR:${workDir})`,
        "--runtime process   to take no tasks with an image",
      ],
    });
  await mkdir(workDir, { recursive: true });
  const [token, file] = [randomUUID(), join(workDir, PROBE)];
  await writeFile(file, token);
  try {
    const seen = beside
      ? await readBeside(engine, { image: beside.imageId, hostWorkDir })
      : await readFile(join(hostWorkDir, PROBE), "utf8").catch(() => "");
    if (seen.trim() !== token) throw wrong({ workDir, hostWorkDir }, seen.trim() === "" ? "it is not there" : "another file is there");
  } finally {
    await rm(file, { force: true });
  }
}

/** Reads the probe's file from a container of this agent's own image, as a task's container would. */
async function readBeside(engine: Engine, { image, hostWorkDir }: { image: string; hostWorkDir: string }): Promise<string> {
  const mount = `type=bind,source=${hostWorkDir},target=/probe,readonly`;
  const flags = ["--rm", "--network", "none", "--entrypoint", "cat", "--mount", mount, "--user", "0:0"];
  const { ok, stdout } = await engine.run(["run", ...flags, image, `/probe/${PROBE}`]);
  return ok ? stdout : "";
}

/** The engine's files that are mounted into every container carry its id; without them its host name is mostly the same. */
async function ownContainer(): Promise<string> {
  const mounts = await readFile("/proc/self/mountinfo", "utf8").catch(() => "");
  return /\/(?:containers|overlay-containers)\/([0-9a-f]{64})\//.exec(mounts)?.[1] ?? hostname();
}

function wrong({ workDir, hostWorkDir }: { workDir: string; hostWorkDir: string }, why: string): NavvyError {
  return new NavvyError("invalid_argument", `--host-work-dir ${hostWorkDir} is not the folder that is ${workDir} here`, {
    why: `a file that was written to ${workDir} was looked for in ${hostWorkDir} on the host: ${why}`,
    fix: `give the folder of the host that is mounted at ${workDir} in this container`,
  });
}
