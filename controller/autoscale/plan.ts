import { type AgentRecord, misfitsOf, type Needs, offeredLabels } from "../../protocol/index.js";
import type { AutoscaleConfig } from "./definition.js";

/**
 * A machine's life, as the autoscaler sees it:
 *
 *   starting ─its agent is up─▶ up ─idle for long─▶ draining ─nothing runs─▶ stopping ─the command did it─▶ stopped ─its agent is gone─▶ (forgotten)
 *      │                        │                                               ▲
 *      └─ never came ───────────┴─ its agent is gone for long ──────────────────┘
 */
export type MachineState = "starting" | "up" | "draining" | "stopping" | "stopped";

export interface Machine {
  /** Its agent's name. */
  name: string;
  state: MachineState;
  /** Of the state: epoch milliseconds. */
  sinceMs: number;
  /** Since when its agent is not there, though it should be. */
  goneSinceMs?: number | undefined;
  /** How often the command to stop it failed. */
  failures?: number | undefined;
  /** What it was started for. */
  needs?: Needs | undefined;
}

/** Needs that machines were started for which do not fit there: no more are for a while. */
export interface Unmet {
  needs: Needs;
  sinceMs: number;
  /** Starts in a row that did not help. */
  failures: number;
}

/** All that an autoscaler keeps over its restarts. */
export interface Memory {
  machines: Machine[];
  /** The number that the last machine's name ends with. */
  lastNumber: number;
  lastStartMs: number;
  /** Starts in a row that came to nothing. */
  failedStarts: number;
  unmet: Unmet[];
}

export const NOTHING: Memory = { machines: [], lastNumber: 0, lastStartMs: 0, failedStarts: 0, unmet: [] };

export interface AgentLook {
  record: AgentRecord;
  isUp: boolean;
  isDraining: boolean;
  /** Slots that would take a task now. */
  free: number;
  /** Since when it has run nothing; undefined while it runs something, or is not heard. */
  idleSinceMs?: number | undefined;
}

/** The fleet at one moment. */
export interface Look {
  nowMs: number;
  /** Tasks that have waited for long, the longest first. */
  waiting: Needs[];
  agents: AgentLook[];
}

export type Action =
  | { kind: "start"; names: string[]; needs: Needs; why: string }
  | { kind: "came"; name: string; fits: boolean; why: string }
  | { kind: "drain" | "stop" | "lost" | "adopt" | "forget"; name: string; why: string };

/** The longest pause after starts that failed. */
const LONGEST_BACKOFF_MS = 3_600_000;
/** A need that nothing was started for as long is tried like a new one. */
const FORGET_UNMET_MS = 24 * LONGEST_BACKOFF_MS;

const backoffMs = ({ cooldown }: AutoscaleConfig, failures: number) => Math.min(LONGEST_BACKOFF_MS, cooldown * 2 ** failures);

/** What is to be done. Pure; whoever does it changes the memory (`after`) and asks again at the next look. */
export function plan(config: AutoscaleConfig, memory: Memory, look: Look): Action[] {
  const strangers = look.agents
    .filter(
      ({ record, isUp }) => isUp && record.name.startsWith(config.agents) && !memory.machines.some(({ name }) => name === record.name),
    )
    .map(({ record }): Action => ({ kind: "adopt", name: record.name, why: "its agent is up and called as ours are" }));
  const moves = memory.machines.flatMap((machine) => moveOf(config, machine, look));
  // What has just come or gone is seen first; how many there are is thought about then.
  if (strangers.length + moves.length > 0) return [...strangers, ...moves];
  const start = startOf(config, memory, look);
  return start ? [start] : idleOnes(config, memory, look);
}

function moveOf(config: AutoscaleConfig, machine: Machine, look: Look): Action[] {
  const { name, state, sinceMs, goneSinceMs } = machine;
  const agent = look.agents.find(({ record }) => record.name === name);
  const isUp = agent?.isUp ?? false;
  switch (state) {
    case "starting":
      if (agent && isUp) return [came(machine, agent.record)];
      return look.nowMs - sinceMs < config.start.timeout ? [] : [{ kind: "lost", name, why: "its agent never came" }];
    case "up":
      if (isUp || goneSinceMs === undefined || look.nowMs - goneSinceMs < config.start.timeout) return [];
      return [{ kind: "lost", name, why: "its agent is gone" }];
    case "draining":
      if (!isUp) return [{ kind: "stop", name, why: "its agent is gone" }];
      if (!agent?.isDraining) return [{ kind: "drain", name, why: "it does not drain yet" }];
      return agent.idleSinceMs === undefined ? [] : [{ kind: "stop", name, why: "nothing runs there" }];
    case "stopped":
      if (!isUp) return [{ kind: "forget", name, why: "it is gone" }];
      return look.nowMs - sinceMs < config.cooldown ? [] : [{ kind: "stop", name, why: "its agent is still up" }];
    case "stopping":
      return look.nowMs - sinceMs < config.cooldown ? [] : [{ kind: "stop", name, why: "it was not stopped yet" }];
  }
}

function came({ name, needs }: Machine, record: AgentRecord): Action {
  const isFit = needs === undefined || fits(needs, record);
  return {
    kind: "came",
    name,
    fits: isFit,
    why: isFit ? "its agent is up" : "its agent is up, but what it was started for does not fit there",
  };
}

/** Waiting tasks that no free slot would take, and no machine that is on its way. */
function startOf(config: AutoscaleConfig, memory: Memory, look: Look): Action | undefined {
  const { machines, lastNumber, lastStartMs, failedStarts, unmet } = memory;
  if (look.nowMs - lastStartMs < backoffMs(config, failedStarts)) return undefined;
  const starting = machines.filter(({ state }) => state === "starting").length;
  const paused = unmet.filter(({ sinceMs, failures }) => look.nowMs - sinceMs < backoffMs(config, failures));
  const unserved = unservedOf(config, look)
    .filter((needs) => !paused.some((each) => isSame(each.needs, needs)))
    .slice(starting * config.slots);
  const alive = machines.filter(({ state }) => state === "starting" || state === "up").length;
  const wanted = Math.max(Math.ceil(unserved.length / config.slots), config.min - alive);
  const count = Math.min(wanted, config.max - machines.length);
  if (count <= 0) return undefined;
  const names = Array.from({ length: count }, (_, index) => `${config.agents}${lastNumber + 1 + index}`);
  const why = unserved.length > 0 ? `${unserved.length} tasks wait` : `there are ${alive} of at least ${config.min}`;
  return { kind: "start", names, needs: unserved[0] ?? { gpus: 0 }, why };
}

function unservedOf(config: AutoscaleConfig, look: Look): Needs[] {
  const free = look.agents
    .filter(({ record, isUp }) => isUp && record.queues.includes(config.queue))
    .map((agent) => ({ record: agent.record, free: agent.free }));
  return look.waiting.filter((needs) => {
    const taker = free.find((agent) => agent.free > 0 && fits(needs, agent.record));
    if (taker) taker.free--;
    return taker === undefined;
  });
}

/** The longest idle first, down to the fewest that there are to be; none that a waiting task fits. */
function idleOnes(config: AutoscaleConfig, { machines }: Memory, look: Look): Action[] {
  const up = machines.filter(({ state }) => state === "up");
  const idle = up.flatMap(({ name }) => {
    const agent = look.agents.find(({ record }) => record.name === name);
    if (!agent?.isUp || agent.idleSinceMs === undefined || look.nowMs - agent.idleSinceMs < config.idle) return [];
    return look.waiting.some((needs) => fits(needs, agent.record)) ? [] : [{ name, sinceMs: agent.idleSinceMs }];
  });
  idle.sort((a, b) => a.sinceMs - b.sinceMs);
  return idle.slice(0, Math.max(0, up.length - config.min)).map(({ name }) => ({ kind: "drain", name, why: "it has been idle for long" }));
}

const isSame = (a: Needs, b: Needs) => JSON.stringify(a) === JSON.stringify(b);

function fits(needs: Needs, record: AgentRecord): boolean {
  return (
    misfitsOf(needs, { ...record, labels: offeredLabels(record.labels, record.secrets), container: record.engine !== undefined }).length ===
    0
  );
}

/** The memory once an action is under way. */
export function after(memory: Memory, action: Action, nowMs: number): Memory {
  const put = (name: string, state: MachineState) =>
    memory.machines.map((machine) => (machine.name === name ? { ...machine, state, sinceMs: nowMs, goneSinceMs: undefined } : machine));
  switch (action.kind) {
    case "start": {
      const { needs } = action;
      const started = action.names.map((name): Machine => ({ name, state: "starting", sinceMs: nowMs, needs }));
      const lastNumber = memory.lastNumber + action.names.length;
      return { ...memory, machines: [...memory.machines, ...started], lastNumber, lastStartMs: nowMs };
    }
    case "adopt": {
      const number = Number(/\d+$/.exec(action.name)?.[0] ?? 0);
      const machine: Machine = { name: action.name, state: "up", sinceMs: nowMs };
      return { ...memory, machines: [...memory.machines, machine], lastNumber: Math.max(memory.lastNumber, number) };
    }
    case "came":
      return { ...memory, machines: put(action.name, "up"), failedStarts: 0, unmet: unmetAfter(memory, action, nowMs) };
    case "drain":
      return { ...memory, machines: put(action.name, "draining") };
    case "stop":
      return { ...memory, machines: put(action.name, "stopping") };
    case "forget":
      return { ...memory, machines: memory.machines.filter(({ name }) => name !== action.name) };
    case "lost": {
      const wasStarting = memory.machines.some(({ name, state }) => name === action.name && state === "starting");
      return { ...memory, machines: put(action.name, "stopping"), failedStarts: memory.failedStarts + (wasStarting ? 1 : 0) };
    }
  }
}

/** Several that came at once count once. */
function unmetAfter({ machines, unmet }: Memory, { name, fits: isFit }: Extract<Action, { kind: "came" }>, nowMs: number): Unmet[] {
  const needs = machines.find((machine) => machine.name === name)?.needs;
  if (needs === undefined) return unmet;
  const before = unmet.find((each) => isSame(each.needs, needs));
  const others = unmet.filter((each) => each !== before && nowMs - each.sinceMs < FORGET_UNMET_MS);
  if (isFit) return others;
  return [...others, before?.sinceMs === nowMs ? before : { needs, sinceMs: nowMs, failures: (before?.failures ?? 0) + 1 }];
}

/**
 * The memory once the command to start some of them failed, and those that are to be stopped: it may have made something all the same.
 * What has come works, whatever the command ended with.
 */
export function startFailed(memory: Memory, names: string[], look: Look): { memory: Memory; lost: string[] } {
  const isStarting = (name: string) => memory.machines.some((machine) => machine.name === name && machine.state === "starting");
  const lost = names.filter((name) => isStarting(name) && !isUpIn(look, name));
  if (lost.length === 0) return { memory, lost };
  const without = lost.reduce((rest, name) => after(rest, { kind: "lost", name, why: "" }, look.nowMs), memory);
  return { memory: { ...without, failedStarts: memory.failedStarts + 1 }, lost };
}

const isUpIn = (look: Look, name: string) => look.agents.some(({ record, isUp }) => isUp && record.name === name);

/** Notes since when agents are not there that should be. */
export function noticed(memory: Memory, look: Look): Memory {
  const machines = memory.machines.map((machine) => {
    const goneSinceMs = machine.state !== "up" || isUpIn(look, machine.name) ? undefined : (machine.goneSinceMs ?? look.nowMs);
    return goneSinceMs === machine.goneSinceMs ? machine : { ...machine, goneSinceMs };
  });
  return machines.every((machine, index) => machine === memory.machines[index]) ? memory : { ...memory, machines };
}
