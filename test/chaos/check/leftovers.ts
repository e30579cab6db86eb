import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { cgroupsOf, processesOf } from "../processes.js";
import type { Left } from "./read.js";
import type { Violation } from "./violation.js";

/** What is looked for after every agent has left. */
export interface Place {
  run: string;
  folder: string;
  agents: string[];
}

const rule = "nothing is left behind" as const;

/** Processes, cgroups, attempts' folders, sockets: on the machine. */
export function judgeMachine({ run, folder, agents }: Place): Violation[] {
  const processes = processesOf(run).map(
    ({ pid, state, command, attemptKey }) => `process ${pid} (${state}) ${attemptKey ?? ""} ${command}`,
  );
  const cgroups = cgroupsOf(agents).map((path) => `cgroup ${path}`);
  const files = agents.flatMap((agent) => filesOf(join(folder, agent)).map((path) => `file ${path}`));
  return [...processes, ...cgroups, ...files].map((text) => ({ rule, text }));
}

/** What only lives while something runs. */
function filesOf(agentFolder: string): string[] {
  const inside = (name: string) => (existsSync(join(agentFolder, name)) ? readdirSync(join(agentFolder, name)) : []);
  const sockets = inside(".").filter((name) => name.endsWith(".sock"));
  return [...inside("attempts").map((name) => join(agentFolder, "attempts", name)), ...sockets.map((name) => join(agentFolder, name))];
}

/** Leases and queued messages: on the server. A stale ticket does no harm; one of a task that waits is caught as a task without an end. */
export function judgeServer(left: Left): Violation[] {
  return left.sessions.map((key) => ({ rule, text: `session ${key}` }));
}
