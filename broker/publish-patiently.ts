import { ErrorCode } from "nats";
import { isNavvyError } from "../protocol/index.js";
import type { Bus } from "./bus.js";
import { isNats, translate } from "./nats-error.js";
import type { Held } from "./trouble.js";

/** A restart of the server is over by then: what takes longer is worth a line. */
const TOLD_AFTER_MS = 5_000;
const LONGEST_DELAY_MS = 1_000;

/**
 * Publishes until the stream has it, over outages of any length: the message id makes a repeat within the stream's
 * window count once, and what is published carries its own offset, so that readers drop one that comes later still.
 * @throws NavvyError aborted (the signal), too_large, permission_denied
 */
export async function publishPatiently(
  bus: Bus,
  message: { subject: string; data: Uint8Array; msgID: string; what: Held },
  signal?: AbortSignal,
): Promise<void> {
  const { subject, data, msgID, what } = message;
  const startedAt = performance.now();
  for (let delayMs = 50; ; delayMs = Math.min(delayMs * 2, LONGEST_DELAY_MS)) {
    try {
      await bus.js.publish(subject, data, { msgID });
      bus.trouble.end(what);
      return;
    } catch (error) {
      const failure = translate(error, `publish on ${subject}`, bus.source);
      const isFinal = bus.nc.isClosed() || signal?.aborted || isNats(error, ErrorCode.MaxPayloadExceeded, ErrorCode.PermissionsViolation);
      if (isFinal) throw failure;
      const isWorthALine = isNavvyError(failure, "disk_full") || performance.now() - startedAt > TOLD_AFTER_MS;
      if (isWorthALine) bus.trouble.begin(what, failure);
      await new Promise((resolve) => setTimeout(resolve, delayMs)); // away or full: what waits here stays on the agent's disk
    }
  }
}
