import { setTimeout as delay } from "node:timers/promises";
import { isNavvyError } from "../protocol/index.js";
import { alive } from "./alive.js";

/** How long a server may be away before a controller gives up a request. */
const PATIENCE_MS = 120_000;
const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 2_000;

/**
 * Asks again while the server is away. For what may be asked twice; `isRepeat` tells when it is.
 * @throws what the request throws, once it is not about reaching the server, or the server is away for two minutes
 */
export function patiently<T>(ask: (isRepeat: boolean) => Promise<T>, options: { patienceMs?: number } = {}): Promise<T> {
  const deadline = performance.now() + (options.patienceMs ?? PATIENCE_MS);
  return alive(async () => {
    for (let delayMs = FIRST_DELAY_MS, isRepeat = false; ; delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS), isRepeat = true) {
      try {
        return await ask(isRepeat);
      } catch (error) {
        if (!isAway(error) || performance.now() + delayMs > deadline) throw error;
        await delay(delayMs);
      }
    }
  });
}

/** True when the request may not have reached the server, or its answer did not come back. */
export function isAway(error: unknown): boolean {
  return isNavvyError(error, "timeout") || isNavvyError(error, "nats_unreachable");
}
