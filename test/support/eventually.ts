import { setTimeout as delay } from "node:timers/promises";
import { inspect } from "node:util";

/** How long to wait, and how often to look. */
export interface EventuallyOptions {
  /** Default 10,000. */
  timeoutMs?: number;
  /** Default 25. */
  everyMs?: number;
}

/** Anything that `eventually` takes for "not yet". */
type NotYet = undefined | null | false | 0 | "";

/**
 * Looks again and again until the probe gives something truthy, and gives that. A probe that throws has not succeeded yet.
 * Fails with the sentence and what was seen last; a probe that hangs is given up at the deadline too.
 */
export async function eventually<T>(
  what: string,
  probe: () => T | Promise<T>,
  { timeoutMs = 10_000, everyMs = 25 }: EventuallyOptions = {},
): Promise<Exclude<T, NotYet>> {
  const deadline = performance.now() + timeoutMs;
  let seen: unknown = "nothing yet";
  for (;;) {
    const look = await attempt(probe, deadline - performance.now());
    if (look.value) return look.value as Exclude<T, NotYet>;
    if (!look.isLate) seen = look.error ?? look.value;
    if (look.isLate || performance.now() + everyMs > deadline)
      throw new Error(`${what}: not within ${timeoutMs} ms; last seen: ${inspect(seen)}`);
    await delay(everyMs);
  }
}

interface Look<T> {
  value?: T;
  error?: unknown;
  isLate?: boolean;
}

async function attempt<T>(probe: () => T | Promise<T>, leftMs: number): Promise<Look<T>> {
  const late = new AbortController();
  const looked = (async () => ({ value: await probe() }))().catch((error: unknown) => ({ error }));
  // An aborted delay rejects; by then the race is over.
  const givenUp = delay(Math.max(leftMs, 0), { isLate: true }, { signal: late.signal }).catch(() => ({}));
  const look: Look<T> = await Promise.race([looked, givenUp]);
  late.abort();
  return look;
}
