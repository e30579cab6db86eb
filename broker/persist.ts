import { setTimeout as delay } from "node:timers/promises";
import type { Bus } from "./bus.js";
import { mayPass } from "./nats-error.js";

/** A cluster that lost a leader has the next one after 4 to 9 s. */
export const PATIENCE_MS = 10_000;

export interface PersistOptions {
  patienceMs?: number;
  /** Which failures are worth another try. */
  isPassing?: (error: unknown) => boolean;
}

const FIRST_RETRY_MS = 50;
const RETRY_MS = 500;

/**
 * Repeats a request that can be repeated without harm for as long as its failure may pass by itself: no answer, a leader that
 * is being elected. The last failure comes through as it is.
 */
export async function persist<T>(bus: Bus, request: () => Promise<T>, options: PersistOptions = {}): Promise<T> {
  const { patienceMs = PATIENCE_MS, isPassing = mayPass } = options;
  const deadline = performance.now() + patienceMs;
  for (let delayMs = FIRST_RETRY_MS; ; delayMs = Math.min(delayMs * 2, RETRY_MS)) {
    try {
      return await request();
    } catch (error) {
      if (!isPassing(error) || bus.nc.isClosed() || performance.now() + delayMs > deadline) throw error;
      await delay(delayMs);
    }
  }
}
