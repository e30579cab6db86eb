import type { ContainerHandle, DisconnectRule, RunSpec, StartFailure, TreeState } from "../../runners/runner.js";

export type { ContainerHandle, DisconnectRule, StartFailure, TreeState };

/**
 * What the agent and its spawner say to each other: one JSON object per line over a Unix socket.
 *
 * An agent may meet a spawner of an older build, so each connection begins with a `hello` that carries the wire's number.
 * Only optional fields are added under one number. Two numbers understand `hello` and `shutdown` of each other, no more.
 * Only `node:` modules may be reached from here.
 */
export const WIRE = 1;

/** Nothing optional in it that has a default. */
export interface StartRequest extends Omit<RunSpec, "container"> {
  op: "start";
  onDisconnect: DisconnectRule;
  graceMs: number;
  /** The program is the engine's command that is attached to it, and `env` that command's. */
  container?: ContainerHandle;
}

/** `orphanMs`: how long the trees outlive the agent's connection. */
export type AgentHello = { op: "hello"; role: "agent"; wire: number; agent: string; orphanMs: number };

/** A second connection beside the agent's, which may send `lease` and nothing else. */
export type LeaseHello = { op: "hello"; role: "lease"; wire: number };

/** Trees are frozen `freezeInMs` after `sentAtMs` (of {@link monotonicMs}); null or negative: never. */
export type LeaseRequest = { op: "lease"; freezeInMs: number | null; sentAtMs: number };

/** Agent to spawner. */
export type Request =
  | AgentHello
  | LeaseHello
  | StartRequest
  /** To the whole process group. */
  | { op: "signal"; key: string; signal: string }
  /** SIGTERM now, SIGKILL after the grace. */
  | { op: "end"; key: string; graceMs: number; by: string }
  | { op: "kill"; key: string }
  /** Stands still until `resume`; an end resumes it. */
  | { op: "pause"; key: string }
  | { op: "resume"; key: string }
  /** The end is recorded: until then it is told at each `hello`. */
  | { op: "release"; key: string }
  | LeaseRequest
  | { op: "shutdown" };

/** The answer to an agent's `hello`: who the spawner is, and every tree that is not released. */
export interface HelloNotice {
  event: "hello";
  wire: number;
  pid: number;
  isFrozen: boolean;
  /** The folder of its cgroups; null: trees are held together by process group and marker. */
  cgroup: string | null;
  canLimitPids: boolean;
  /** Absent: a spawner that knows nothing of containers, which must not be given any. */
  holdsContainers?: boolean;
  trees: TreeState[];
}

/** About one tree. `gone` follows `exited`. */
export type TreeNotice =
  | { event: "started"; key: string; pid: number }
  | ({ event: "failed"; key: string } & StartFailure)
  /** The spawner has begun to end it, by the deadlines it was given. */
  | { event: "ending"; key: string; by: string }
  | { event: "exited"; key: string; code: number | null; signal: string | null; endedBy?: string; isOutOfMemory?: boolean }
  | { event: "gone"; key: string };

/** Spawner to agent. */
export type Notice =
  | HelloNotice
  | TreeNotice
  | { event: "frozen" }
  | { event: "thawed" }
  /** Another agent's connection took the place of this one; it is closed next. */
  | { event: "replaced" };

/** Environment variable that marks every process of an attempt's tree. */
export const KEY_VARIABLE = "NAVVY_ATTEMPT_KEY";

/** Set to "off" a spawner makes no cgroups, as on a machine that has none. */
export const CGROUPS_VARIABLE = "NAVVY_CGROUPS";

/** Milliseconds of the machine's monotonic clock: comparable between processes, deaf to changes of the time of day. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
