import { Watch } from "../../../broker/index.js";
import type { QueueRecord } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { stateWord } from "../../output/words.js";
import { fired, showUnreadable, untilInterrupted } from "./until-interrupted.js";

/** `navvy watch queues`: every queue as it is, then each change. */
export const watchQueues: Handler = async (call) => {
  const navvy = await call.navvy();
  const { bucket } = navvy.queues;
  const seen = new Map<string, number>();
  await untilInterrupted(async (signal) => {
    const watch = await Watch.open(navvy.bus, bucket as never, {
      keys: ">",
      onEntry: (raw) => {
        if (seen.get(raw.key) === raw.revision) return;
        seen.set(raw.key, raw.revision);
        try {
          const entry = bucket.read(raw);
          if (entry) call.out.event("queue", entry.value, () => describe(entry.value));
          else call.out.event("queue-deleted", { name: raw.key }, () => `${raw.key}  deleted`);
        } catch (error) {
          showUnreadable(call, `queues/${raw.key}`, error);
        }
      },
    });
    await fired(signal);
    watch.close();
  });
};

function describe(queue: QueueRecord): string {
  const paused = queue.paused ? ` by ${queue.paused.by}: ${queue.paused.reason}` : "";
  const lanes = queue.lanes.map((lane) => `${lane.class}/${lane.shape}`).join(" ");
  return `${queue.name}  ${stateWord(queue.paused ? "paused" : "open")}${paused}  lanes ${lanes || "none yet"}`;
}
