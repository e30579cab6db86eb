import { randomUUID } from "node:crypto";
import { access, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { NavvyError } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";
import { succeeds } from "../host/succeeds.js";
import type { Engine } from "./engine.js";
import { lastLines } from "./engine-messages.js";

/** Whether this process runs in a container itself. */
async function isInContainer(): Promise<boolean> {
  const marks = await Promise.all(["/.dockerenv", "/run/.containerenv"].map((path) => succeeds(access(path))));
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
  // A name of its own: agents that share the folder may look at once.
  const probe = `.navvy-probe-${randomUUID()}`;
  await writeFile(join(workDir, probe), probe);
  try {
    const why = beside
      ? await missingBeside(engine, { image: beside.imageId, hostWorkDir, probe })
      : await readFile(join(hostWorkDir, probe)).then(nothing, (error: Error) => error.message);
    if (why !== undefined) throw wrong({ workDir, hostWorkDir }, why);
  } finally {
    await rm(join(workDir, probe), { force: true });
  }
}

const nothing = () => undefined;

/** Reads the probe from a container of this agent's own image, as a task's container would. @returns why it can not be read */
async function missingBeside(
  engine: Engine,
  { image, hostWorkDir, probe }: { image: string; hostWorkDir: string; probe: string },
): Promise<string | undefined> {
  const mount = `type=bind,source=${hostWorkDir},target=/probe,readonly`;
  const flags = ["--rm", "--network", "none", "--entrypoint", "cat", "--mount", mount, "--user", "0:0"];
  const { ok, stdout, stderr } = await engine.run(["run", ...flags, image, `/probe/${probe}`]);
  if (ok && stdout.trim() === probe) return undefined;
  return lastLines(stderr.replace(/\nSee '.*--help'\.?\n?/, ""), 1) || "it is not there";
}

/** What the engine mounts over these files carries its container's id; without them its host name is mostly the same. */
const OWN_MOUNT = /\/(?:overlay-)?containers\/(?:\S+\/)?([0-9a-f]{64})\/\S+ \/etc\/(?:hostname|hosts|resolv\.conf) /;

async function ownContainer(): Promise<string> {
  const mounts = await readFile("/proc/self/mountinfo", "utf8").catch(() => "");
  return OWN_MOUNT.exec(mounts)?.[1] ?? hostname();
}

function wrong({ workDir, hostWorkDir }: { workDir: string; hostWorkDir: string }, why: string): NavvyError {
  return new NavvyError("invalid_argument", `--host-work-dir ${hostWorkDir} is not the folder that is ${workDir} here`, {
    why: `a file that was written to ${workDir} was looked for in ${hostWorkDir} on the host, in vain: ${why}`,
    fix: `give the folder of the host that is mounted at ${workDir} in this container`,
  });
}
