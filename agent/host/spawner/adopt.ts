import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { clearCgroup } from "../cgroup.js";
import { SpawnerLink } from "./link.js";
import type { Opener, OpenSpawner } from "./open.js";
import { sendSignal } from "./processes.js";
import { WIRE } from "./wire.js";

/** Where the spawner of an earlier run of this agent listens, as the journal has it. */
export interface AdoptOptions {
  socketPath: string;
  /** Its process: one that does not answer any more is killed, so that two never serve one agent. */
  pid?: number;
  /** The folder of its cgroups: cleared with all that lives in it when there is no spawner to be adopted. */
  cgroup?: string | null;
}

export interface AdoptLog {
  warn(detail: object, message: string): void;
}

/** How often the end of a process is looked for that is not our child. */
const LOOK_MS = 10;
/** One that kills its last trees needs no longer than that. */
const LEAVING_MS = 5_000;
const NEVER_MS = Number.POSITIVE_INFINITY;

/**
 * Connects to the spawner of an earlier run. Undefined: there is none any more, or one that can not be adopted; it has ended
 * then, and with it what it ran.
 */
export async function adoptSpawner(from: AdoptOptions, opener: Opener, log?: AdoptLog): Promise<OpenSpawner | undefined> {
  const { socketPath, pid, cgroup } = from;
  const link = await SpawnerLink.connect(socketPath).catch(() => undefined);
  const hello = await link?.greet(opener);
  if (link === undefined || hello === undefined) {
    const isSilent = link?.isClosed === false;
    link?.destroy();
    if (isSilent) log?.warn({ socketPath, pid }, "the spawner of an earlier run does not answer: what it ran is not adopted");
    if (pid !== undefined && isSpawner(pid, opener.agent)) await seeOff(pid, isSilent ? 0 : LEAVING_MS);
    // A process that can not die yet must not keep an agent from its work: what is left is hunted by its key.
    if (cgroup) await clearCgroup(cgroup).catch((error: unknown) => log?.warn({ err: error, cgroup }, "a cgroup could not be cleared"));
    return undefined;
  }
  if (hello.wire !== WIRE) {
    log?.warn({ socketPath, wire: hello.wire, ours: WIRE }, "the spawner of an earlier run speaks another wire: its trees are killed");
    link.send({ op: "shutdown" });
    await link.closed();
    return undefined;
  }
  return { hello, link, socketPath, ended: link.closed().then(async () => void (await ended(hello.pid, NEVER_MS))), unref: () => {} };
}

/** One that takes no agent any more is about to end by itself. */
async function seeOff(pid: number, leavingMs: number): Promise<void> {
  if (await ended(pid, leavingMs)) return;
  sendSignal(pid, "SIGKILL");
  await ended(pid, NEVER_MS);
}

/** Only what is a spawner of this agent by its name: the number may have been given out again. */
function isSpawner(pid: number, agent: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim() === `navvy spawner of ${agent}`;
  } catch {
    return false;
  }
}

async function ended(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (isThere(pid) && performance.now() < deadline) await delay(LOOK_MS);
  return !isThere(pid);
}

/** A zombie has ended: nobody may be there to collect it. */
function isThere(pid: number): boolean {
  try {
    return !/^State:\s*[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
