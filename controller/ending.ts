import type { Outcome } from "../protocol/index.js";
import { isNavvyError, NavvyError } from "../protocol/index.js";
import { alive } from "./alive.js";
import { disconnect } from "./connection.js";

/** Settles the process's task with how the process ends. */
export type Settle = (outcome: Outcome) => Promise<void>;

/** 128 + the signal's number, as shells say it. */
const SIGNAL_CODES = { SIGTERM: 143, SIGINT: 130 } as const;
type EndingSignal = keyof typeof SIGNAL_CODES;

const stop = new AbortController();
const settles: Settle[] = [];
let waits = 0;
let isInstalled = false;
let signalled: EndingSignal | undefined;

/** Fires when the process was asked to end. */
export const stopping: AbortSignal = stop.signal;

/** Counts a wait: a process that waits hears of an abort by its wait's end and may tidy up; any other ends at once. */
export async function waiting<T>(work: () => Promise<T>): Promise<T> {
  waits++;
  try {
    return await alive(work);
  } finally {
    waits--;
  }
}

/**
 * Follows the end of this process, whatever its cause: done (`beforeExit`), an uncaught error, SIGTERM or SIGINT. `settle`
 * is called once, then the connection is closed. `process.exit()` gives no time for any of this.
 */
export function followEnding(settle: Settle): void {
  settles.push(settle);
  if (isInstalled) return;
  isInstalled = true;
  process.once("beforeExit", () => void finish());
  process.once("uncaughtException", (error) => void crash(error));
  for (const signal of Object.keys(SIGNAL_CODES) as EndingSignal[]) process.on(signal, onSignal);
}

/** Ends the task as aborted, as a signal would: someone wished it from elsewhere. */
export function askToEnd(reason: string): void {
  if (stop.signal.aborted) return;
  stop.abort(new NavvyError("aborted", reason));
  if (waits === 0) void end();
}

/** A program that was asked to end and did so in good order still has not done its work. */
function finish(): Promise<void> {
  if (stop.signal.aborted) process.exitCode ??= SIGNAL_CODES[signalled ?? "SIGTERM"];
  return settleAll(wished() ?? { kind: "exited", code: Number(process.exitCode ?? 0) });
}

/** Ends the process well, here and now. */
export async function leaveProcess(): Promise<never> {
  await settleAll({ kind: "exited", code: 0 });
  return exit(0);
}

function onSignal(signal: EndingSignal): void {
  if (signalled !== undefined) exit(SIGNAL_CODES[signal]); // the second one: now
  signalled = signal;
  askToEnd(`${signal} was received`);
}

async function end(): Promise<void> {
  await settleAll(wished() ?? { kind: "aborted" });
  exit(SIGNAL_CODES[signalled ?? "SIGTERM"]);
}

/** A wait that was ended by an abort is no crash, whether or not the program caught it. */
async function crash(error: unknown): Promise<void> {
  if (stop.signal.aborted && isNavvyError(error, "aborted")) return end();
  process.stderr.write(`${(error instanceof Error ? error.stack : undefined) ?? String(error)}\n`);
  await settleAll(wished() ?? { kind: "exited", code: 1, reason: error instanceof Error ? error.message : String(error) });
  exit(1);
}

function wished(): Outcome | undefined {
  if (!stop.signal.aborted) return undefined;
  return { kind: "aborted", reason: (stop.signal.reason as Error).message };
}

/** A server that is away must not keep the process: its lease runs out and the fleet sees what became of it. */
async function settleAll(outcome: Outcome): Promise<void> {
  await alive(async () => {
    for (const settle of settles.splice(0)) await settle(outcome).catch(() => undefined);
    await disconnect();
  });
}

function exit(code: number): never {
  // oxlint-disable-next-line eslint/no-restricted-properties -- whoever handles a signal or an uncaught error takes the exit upon itself
  process.exit(code);
}
