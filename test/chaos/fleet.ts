import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { cp, mkdir, mkdtemp, realpath, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, type Navvy } from "../../broker/index.js";
import { type Nats, startNats } from "../support/nats.js";
import { AgentProcess, logFileOf } from "./agent-process.js";
import { Link } from "./link.js";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const SLOTS = 4;

/** What is broken and mended: a server, agents, each behind a link of its own, and a client with a whole way to the server. */
export interface Fleet {
  /** Marks every process of this run. */
  run: string;
  folder: string;
  marksFile: string;
  nats: Nats;
  agents: AgentProcess[];
  links: Link[];
  navvy: Navvy;
  /** What a task's environment needs for its program to be found and watched. */
  taskEnv: Record<string, string>;
  programs: { worker: string; controller: string };
  /** Ends the server and the links; the folder stays where something is to be looked at. */
  close(options: { keepFolder: boolean }): Promise<void>;
}

/** @throws Error when what the tasks are written in is not there */
export async function openFleet(options: { agents: number; leaseMs: number }): Promise<Fleet> {
  if (spawnSync("python3", ["--version"]).status !== 0)
    throw new Error("there is no python3, which the tasks of a chaos round run on\nfix: apt-get install python3");
  const folder = await mkdtemp(join(await realpath(tmpdir()), "navvy-chaos-"));
  const run = randomBytes(6).toString("hex");
  const main = await copyPackage(folder);
  const nats = await startNats();
  const links = await Promise.all(Array.from({ length: options.agents }, () => Link.open(nats.port)));
  const agents = links.map((link, i) => {
    const name = `chaos-${run}-${i + 1}`;
    const logFile = logFileOf(folder, name);
    return new AgentProcess({ name, url: link.url, main, workDir: folder, logFile, leaseMs: options.leaseMs, slots: SLOTS, run });
  });
  const navvy = await connect({ servers: nats.url, actor: "chaos" });
  const marksFile = join(folder, "marks");
  return {
    run,
    folder,
    marksFile,
    nats,
    agents,
    links,
    navvy,
    taskEnv: { CHAOS_RUN: run, CHAOS_MARKS: marksFile },
    programs: { worker: join(ROOT, "test/chaos/worker.py"), controller: join(folder, "programs", "controller.mjs") },
    async close({ keepFolder }) {
      await navvy.close();
      await nats.stop();
      await Promise.all(links.map((link) => link.close()));
      if (!keepFolder) await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** The build as it is now: the run does not notice when it changes. Returns the command line's main module. */
async function copyPackage(folder: string): Promise<string> {
  const copy = join(folder, "package");
  await mkdir(copy);
  await cp(join(ROOT, "dist"), join(copy, "dist"), { recursive: true });
  await cp(join(ROOT, "package.json"), join(copy, "package.json"));
  await symlink(join(ROOT, "node_modules"), join(copy, "node_modules"), "dir");
  const programs = join(folder, "programs");
  await mkdir(join(programs, "node_modules"), { recursive: true });
  await symlink(copy, join(programs, "node_modules", "navvy"), "dir");
  await cp(join(ROOT, "test/chaos/controller.mjs"), join(programs, "controller.mjs"));
  return join(copy, "dist", "cli", "main.js");
}
