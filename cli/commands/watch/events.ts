import type { FleetEvent } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { shortId } from "../../output/words.js";
import { showUnreadable, untilInterrupted } from "./until-interrupted.js";

/** `navvy watch events [--history]` */
export const watchEvents: Handler<[], { history?: boolean }> = async (call) => {
  const navvy = await call.navvy();
  await untilInterrupted(async (signal) => {
    const onUnreadable = (subject: string, error: unknown) => showUnreadable(call, subject, error);
    for await (const event of navvy.events.follow({ signal, onUnreadable, history: call.options.history ?? false })) {
      call.out.event("event", event, () => describe(event));
    }
  });
};

function describe(event: FleetEvent): string {
  const id = event.kind === "task" ? shortId(event.id) : event.id;
  const name = typeof event.data?.name === "string" ? ` ${event.data.name}` : "";
  const reason = event.reason && event.reason !== event.event ? `: ${event.reason}` : "";
  return `${event.at.slice(11, 19)} ${event.kind} ${id}${name}  ${event.event}${reason}  (${event.by})`;
}
