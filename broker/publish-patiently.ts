import { ErrorCode } from "nats";
import type { Bus } from "./bus.js";
import { isNats, translate } from "./nats-error.js";

/**
 * Publishes until the stream has it, over outages of any length: the message id makes a repeat within the stream's
 * window count once, and what is published carries its own offset, so that readers drop one that comes later still.
 * @throws NavvyError aborted (the signal), too_large, permission_denied
 */
export async function publishPatiently(
  bus: Bus,
  message: { subject: string; data: Uint8Array; msgID: string },
  signal?: AbortSignal,
): Promise<void> {
  for (let delayMs = 50; ; delayMs = Math.min(delayMs * 2, 1_000)) {
    try {
      await bus.js.publish(message.subject, message.data, { msgID: message.msgID });
      return;
    } catch (error) {
      const isFinal = bus.nc.isClosed() || signal?.aborted || isNats(error, ErrorCode.MaxPayloadExceeded, ErrorCode.PermissionsViolation);
      if (isFinal) throw translate(error, `publish on ${message.subject}`, bus.source);
      await new Promise((resolve) => setTimeout(resolve, delayMs)); // away or full: what waits here stays on the agent's disk
    }
  }
}
