import { type EventKind, encode, FleetEvent } from "../protocol/index.js";
import type { Bus } from "./bus.js";
import { ringParent } from "./child-bell.js";
import { decodeOr } from "./decode-or.js";
import { follow } from "./follow.js";

export interface NewEvent {
  kind: EventKind;
  id: string;
  event: string;
  reason: string;
  by?: string;
  attempt?: number;
  data?: Record<string, unknown>;
  /** Makes a repeated publish of the same change count once, e.g. the record's revision. */
  key?: string | number;
  /** The controller that hears of it at once. */
  parent?: string | undefined;
}

/**
 * Appends events. The record is the truth and an event its echo: publishing goes on in the background and is tried
 * again for a while; `flush()` waits for what is under way.
 */
export class Events {
  readonly #bus: Bus;
  readonly #pending = new Set<Promise<void>>();

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  emit(event: NewEvent): void {
    const { key, parent, ...rest } = event;
    if (parent !== undefined) ringParent(this.#bus, { id: event.id, parent });
    const message: FleetEvent = { type: "navvy.event.v1", at: new Date().toISOString(), by: this.#bus.actor, ...rest };
    const subject = this.#bus.subjects.event(event.kind, event.id);
    const msgID = `${event.id}.${event.event}.${key ?? `${Date.now()}.${Math.random()}`}`;
    const sending = this.#send(subject, encode(message), msgID).finally(() => this.#pending.delete(sending));
    this.#pending.add(sending);
  }

  /** Tells a task's controller that its record has changed, where that is no event. */
  ring(task: { id: string; parent?: string | undefined }): void {
    if (task.parent !== undefined) ringParent(this.#bus, { id: task.id, parent: task.parent });
  }

  /** Waits for every event emitted so far. */
  async flush(): Promise<void> {
    await Promise.all([...this.#pending]);
  }

  /**
   * Live events, with `history` those kept before too. Ends when `signal` fires; one that can not be read goes to
   * `onUnreadable`, else it throws.
   */
  async *follow(
    options: {
      kind?: EventKind;
      id?: string;
      history?: boolean;
      signal?: AbortSignal;
      onUnreadable?: (subject: string, error: unknown) => void;
    } = {},
  ): AsyncGenerator<FleetEvent> {
    const subject = `${this.#bus.subjects.root}.event.${options.kind ?? "*"}.${options.id ?? "*"}`;
    const stream = this.#bus.assets.streams.event.name;
    for await (const message of follow(this.#bus, { stream, subject, from: options.history ? "start" : "new", signal: options.signal })) {
      const event = decodeOr(options.onUnreadable, { schema: FleetEvent, bytes: message.data, what: message.subject });
      if (event) yield event;
    }
  }

  async #send(subject: string, bytes: Uint8Array, msgID: string): Promise<void> {
    for (let tries = 0; tries < 30; tries++) {
      try {
        await this.#bus.js.publish(subject, bytes, { msgID });
        return;
      } catch {
        if (this.#bus.nc.isClosed()) return;
        await new Promise((resolve) => setTimeout(resolve, Math.min(100 * 2 ** tries, 5_000))); // an outage: the same message id makes a repeat harmless
      }
    }
  }
}
