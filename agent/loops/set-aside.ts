import type { Navvy, PulledMessage } from "../../broker/index.js";
import type { Lane } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";

const KEPT_BYTES = 16 * 1024;

/** A message that is not ours, or of a newer navvy: whoever acknowledges it keeps its bytes in an event. */
export function setAside(
  parts: { navvy: Navvy; config: AgentConfig },
  lane: Lane,
  found: { message: PulledMessage; error: unknown },
): void {
  const { navvy, config } = parts;
  const { message, error } = found;
  const reason = (error as Error).message;
  const bytes = Buffer.from(message.data);
  config.log.warn({ queue: lane.queue, sequence: message.sequence, reason }, "a message was set aside");
  navvy.events.emit({
    kind: "queue",
    id: lane.queue,
    event: "set_aside",
    reason,
    by: config.name,
    key: message.sequence,
    data: {
      subject: message.subject,
      sequence: message.sequence,
      sizeBytes: bytes.length,
      base64: bytes.subarray(0, KEPT_BYTES).toString("base64"),
    },
  });
}
