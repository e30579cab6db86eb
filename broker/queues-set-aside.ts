import { FleetEvent } from "../protocol/index.js";
import type { Bus } from "./bus.js";
import { decodeOr } from "./decode-or.js";
import { follow } from "./follow.js";

/**
 * The messages that were set aside since somebody last said that they were looked at, oldest first, as the events that hold
 * their bytes.
 */
export async function readSetAside(bus: Bus, queue?: string): Promise<FleetEvent[]> {
  const stream = bus.assets.streams.event.name;
  const subject = `${bus.subjects.root}.event.queue.${queue ?? "*"}`;
  let found: FleetEvent[] = [];
  for await (const { data, subject: from } of follow(bus, { stream, subject, from: "start", untilCaughtUp: true })) {
    const event = decodeOr(() => {}, { schema: FleetEvent, bytes: data, what: from });
    if (event?.event === "set_aside") found.push(event);
    if (event?.event === "set_aside_seen") found = found.filter((each) => each.id !== event.id);
  }
  return found;
}
