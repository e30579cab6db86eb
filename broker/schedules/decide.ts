import type { Firing, Schedule, ScheduleState } from "../../protocol/index.js";
import { latestDue, nextDue } from "./times.js";

/** What is later than that was missed: whoever leads may change, and clocks may differ by less. */
const LATE_MS = 60_000;
/** Firings that wait for the last one to end: beyond it they come to nothing. */
const MOST_WAITING = 100;

/** A firing that comes to nothing, and why. */
export interface Dropped {
  event: "skipped" | "missed";
  at: string;
  reason: string;
}

export interface Decision {
  state: ScheduleState;
  dropped: Dropped[];
}

/** How a schedule stands before anything was decided. */
export function freshState(schedule: Pick<Schedule, "id" | "createdAt">): ScheduleState {
  const { id, createdAt } = schedule;
  return {
    type: "navvy.schedule-state.v1",
    schedule: id,
    decidedTo: createdAt,
    runs: 0,
    timed: 0,
    waiting: [],
    skipped: 0,
    changedAt: createdAt,
  };
}

/**
 * What is to become of all that fell due: by the catch-up policy which of it counts, by the overlap policy which of that is to run.
 * Pure. Undefined: nothing fell due.
 * @param seen `isBusy`: the last firing's task has not ended
 */
export function decide(schedule: Schedule, state: ScheduleState, seen: { now: number; isBusy: boolean }): Decision | undefined {
  const { now } = seen;
  if (schedule.paused || isSpent(schedule, state)) return undefined;
  const most = schedule.catchUp === "all" ? schedule.catchUpLimit : 1;
  const due = latestDue(schedule, { after: Date.parse(state.decidedTo), to: now, most: most + 1 });
  const newest = due.at(-1);
  if (newest === undefined) return undefined;
  const counted = schedule.catchUp === "none" && now - newest > LATE_MS ? [] : due.slice(-most);
  const missed = due.slice(0, due.length - counted.length);
  const decision: Decision = {
    state: { ...state, decidedTo: iso(newest), changedAt: iso(now), waiting: [...state.waiting] },
    // There may be more, which nobody needs to count.
    dropped: missed.slice(-1).map((time) => ({ event: "missed", at: iso(time), reason: "no agent was there to lead when it was due" })),
  };
  decision.state.skipped += missed.length;
  for (const time of counted) add(schedule, decision, { at: iso(time), isBusy: seen.isBusy });
  return decision;
}

function add(schedule: Schedule, { state, dropped }: Decision, { at, isBusy }: { at: string; isBusy: boolean }): void {
  if (isSpent(schedule, state)) return;
  const reason = whyNot(schedule, state, isBusy);
  if (reason !== undefined) {
    state.skipped++;
    dropped.push({ event: "skipped", at, reason });
    return;
  }
  state.runs++;
  state.timed++;
  state.waiting.push({ key: at, at, run: state.runs });
}

/** Why a firing has to come to nothing just now; undefined: it may run. */
export function whyNot({ overlap }: Pick<Schedule, "overlap">, { waiting, last }: ScheduleState, isBusy: boolean): string | undefined {
  if (overlap === "skip" && isBusy) return `run ${last?.run ?? 0} has not ended`;
  if (overlap === "skip" && waiting.length > 0) return `run ${waiting[0]?.run ?? 0} has not begun`;
  return waiting.length >= MOST_WAITING ? `${waiting.length} runs wait already` : undefined;
}

/** The next firing that may be done: those of a paused schedule only when a person asked for them. */
export function nextFiring(schedule: Pick<Schedule, "paused">, state: ScheduleState): Firing | undefined {
  return schedule.paused ? state.waiting.find((firing) => firing.by !== undefined) : state.waiting[0];
}

/** When it is due next; undefined: never again, or not while it is paused. */
export function nextOf(schedule: Schedule, state: ScheduleState): number | undefined {
  if (schedule.paused || isSpent(schedule, state)) return undefined;
  return nextDue(schedule, Date.parse(state.decidedTo));
}

/** Active, paused by a person, or over: it will never be due again. */
export function statusOf(schedule: Schedule, state: ScheduleState): "active" | "paused" | "ended" {
  const isOver = isSpent(schedule, state) || nextDue(schedule, Date.parse(state.decidedTo)) === undefined;
  if (isOver && state.waiting.length === 0) return "ended";
  return schedule.paused ? "paused" : "active";
}

function isSpent({ limit }: Pick<Schedule, "limit">, { timed }: Pick<ScheduleState, "timed">): boolean {
  return limit !== undefined && timed >= limit;
}

const iso = (time: number) => new Date(time).toISOString();
