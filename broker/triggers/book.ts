import { Trigger, TriggerState } from "../../protocol/index.js";
import { Book } from "../book.js";
import type { Bus } from "../bus.js";

/** A trigger with how it stands. */
export interface Triggered {
  trigger: Trigger;
  state: TriggerState;
}

export type TriggerBook = Book<Trigger, TriggerState, Triggered>;

export function triggerBook(bus: Bus): TriggerBook {
  return new Book(bus, {
    bucket: bus.assets.buckets.triggers.name,
    definition: Trigger,
    state: TriggerState,
    page: (trigger, state) => ({ trigger, state: state?.trigger === trigger.id ? state : freshState(trigger) }),
  });
}

function freshState({ id, createdAt, sinceRevision }: Trigger): TriggerState {
  return { type: "navvy.trigger-state.v1", trigger: id, seenTo: sinceRevision, fired: 0, changedAt: createdAt };
}
