import { NavvyError } from "./errors.js";

/**
 * The states of a task and the moves between them.
 *
 *                     ┌───────────── reset ─────────────┐
 *                     ▼                                 │
 *  (create, clone) ─▶ draft ─enqueue─▶ queued ─claim─▶ running ─▶ completed ─▶ published
 *                     ▲                  │ │ ▲            ├─────▶ failed
 *                     └──── dequeue ─────┘ │ └── retry ───┤
 *                                          └── abort ────▶└─────▶ aborted
 *
 * Running → queued is a retry, an attempt that was lost, or one that was given back.
 */
export const STATUSES = ["draft", "queued", "running", "completed", "failed", "aborted", "published"] as const;
export type TaskStatus = (typeof STATUSES)[number];

export const MOVES = {
  draft: ["queued"],
  queued: ["draft", "running", "aborted", "failed"],
  running: ["queued", "completed", "failed", "aborted"],
  completed: ["draft", "published"],
  failed: ["draft"],
  aborted: ["draft"],
  published: [],
} as const satisfies Record<TaskStatus, readonly TaskStatus[]>;

/** What `running` is doing, for people. */
export const PHASES = ["claimed", "preparing", "executing", "aborting", "collecting"] as const;
export type Phase = (typeof PHASES)[number];

/**
 * What becomes of a running attempt whose agent can not renew its lease: its processes stand still until it can again, run on
 * without a lease (nobody else is given the task by itself), or are ended at once. Absent: freeze.
 */
export const ON_DISCONNECT = ["freeze", "continue", "kill"] as const;
export type OnDisconnect = (typeof ON_DISCONNECT)[number];

export function canMove(from: TaskStatus, to: TaskStatus): boolean {
  return (MOVES[from] as readonly TaskStatus[]).includes(to);
}

/** An ended task: it will not change again unless someone resets it. */
export function isEnded(status: TaskStatus): boolean {
  return status === "completed" || status === "failed" || status === "aborted" || status === "published";
}

const ADVICE: Record<TaskStatus, string> = {
  draft: "enqueue it first: navvy task enqueue ID",
  queued: "take it off its queue first: navvy task dequeue ID",
  running: "wait for its end (navvy wait ID) or abort it: navvy task abort ID",
  completed: "reset it (navvy task reset ID) or clone it: navvy task clone ID",
  failed: "reset it (navvy task reset ID) or clone it: navvy task clone ID",
  aborted: "reset it (navvy task reset ID) or clone it: navvy task clone ID",
  published: "a published task is read-only; clone it: navvy task clone ID",
};

/** @throws NavvyError illegal_move, naming both states and what to do. */
export function assertMove(id: string, from: TaskStatus, to: TaskStatus): void {
  if (canMove(from, to)) return;
  throw new NavvyError("illegal_move", `task ${id} is ${from}, so it can not become ${to}`, {
    detail: { id, from, to },
    why: `from ${from} a task can go to: ${MOVES[from].join(", ") || "nothing"}`,
    fix: ADVICE[from].replaceAll("ID", id.slice(-8)),
  });
}
