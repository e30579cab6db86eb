import type { Call } from "../../call.js";
import { onInterrupt } from "../../signals.js";

/** Runs something live until Ctrl-C, which is how a watch ends: exit 0. */
export async function untilInterrupted(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController();
  const off = onInterrupt(() => stop.abort());
  try {
    await work(stop.signal);
  } finally {
    off();
  }
}

/** Resolves when the signal fires. */
export function fired(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** A message that can not be decoded is shown as such; it never ends a watch. */
export function showUnreadable(call: Call<unknown>, subject: string, error: unknown): void {
  const { message, code = "internal" } = error as Error & { code?: string };
  call.out.event("unreadable", { subject, code, message }, () => `? ${subject}: ${message}`);
}
