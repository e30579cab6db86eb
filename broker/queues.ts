import { AckPolicy, type ConsumerInfo, DeliverPolicy, ReplayPolicy } from "nats";
import {
  CLASSES,
  checkName,
  closest,
  encode,
  type FleetEvent,
  type Lane,
  NavvyError,
  type OnDisconnect,
  QueueRecord,
  type Ticket,
} from "../protocol/index.js";
import { Bucket } from "./bucket.js";
import type { Bus } from "./bus.js";
import type { Events } from "./events.js";
import { JS_ERROR, jetStreamCode, translate } from "./nats-error.js";
import { persist } from "./persist.js";
import { QueueMessages } from "./queues-messages.js";
import { readSetAside } from "./queues-set-aside.js";
import { snapshot } from "./snapshot.js";

const LANE_CACHE_MS = 5_000;

/** Queues: their entries, their lanes (one durable consumer per class and shape), and the tickets on them. */
export class Queues {
  readonly bucket: Bucket<typeof QueueRecord>;
  /** What stands on the lanes right now. */
  readonly messages: QueueMessages;
  readonly #bus: Bus;
  readonly #events: Events;
  /** Lanes that were seen to be there, and queues, with when. */
  readonly #ready = new Map<string, number>();
  readonly #seen = new Map<string, number>();

  constructor(bus: Bus, events: Events) {
    this.#bus = bus;
    this.#events = events;
    this.bucket = new Bucket(bus, bus.assets.buckets.queues.name, QueueRecord);
    this.messages = new QueueMessages(bus, (lane) => this.laneInfo(lane));
  }

  /** @throws NavvyError conflict when there is one of that name */
  async create(name: string, options: { onDisconnect?: OnDisconnect | undefined } = {}): Promise<QueueRecord> {
    const { onDisconnect } = options;
    const record = { ...this.#blank(name), ...(onDisconnect ? { onDisconnect } : {}) };
    if ((await this.bucket.create(name, record)) === undefined) {
      throw new NavvyError("conflict", `queue ${JSON.stringify(name)} exists already`, { fix: `navvy queue show ${name}` });
    }
    this.#events.emit({ kind: "queue", id: name, event: "created", reason: "created" });
    return record;
  }

  /** @throws NavvyError not_found, with the name that was probably meant */
  async get(name: string): Promise<QueueRecord> {
    const entry = await this.bucket.get(checkName("queue", name));
    if (entry) return entry.value;
    throw this.#unknown(name, await this.names());
  }

  async list(): Promise<QueueRecord[]> {
    const entries = await snapshot(this.#bus, this.bucket);
    return entries.map((entry) => entry.value).sort((a, b) => a.name.localeCompare(b.name));
  }

  async names(): Promise<string[]> {
    return (await this.list()).map((queue) => queue.name);
  }

  /** What becomes of its tasks when their agent loses its lease, unless they say so themselves. From their next claim on. */
  async setOnDisconnect(name: string, onDisconnect: OnDisconnect): Promise<void> {
    await this.#change(name, (queue) => ({ ...queue, onDisconnect }), { event: "edited", reason: `onDisconnect: ${onDisconnect}` });
  }

  async pause(name: string, reason: string): Promise<void> {
    const paused = { at: new Date().toISOString(), by: this.#bus.actor, reason };
    await this.#change(name, (queue) => ({ ...queue, paused }), { event: "paused", reason });
  }

  async resume(name: string): Promise<void> {
    await this.#change(name, ({ paused: _paused, ...queue }) => queue, { event: "resumed", reason: "resumed" });
    for (const { shape } of (await this.get(name)).lanes) this.ring({ queue: name, shape });
  }

  /** Removes the entry and its lanes. Whoever calls has moved the tasks away. */
  async remove(name: string): Promise<void> {
    const queue = await this.get(name);
    await this.bucket.delete(name);
    // By their names and not by the entry: it may lack a lane that a client made as it died.
    const consumers = new Set(queue.lanes.map((lane) => this.#bus.subjects.laneConsumer({ queue: name, ...lane })));
    for (const consumer of await this.consumers()) if (consumer.startsWith(`${name}+`)) consumers.add(consumer);
    for (const consumer of consumers) await this.#bus.jsm.consumers.delete(this.#stream, consumer).catch(() => false); // gone already: another delete was faster
    this.#ready.clear();
    this.#seen.clear();
    this.#events.emit({ kind: "queue", id: name, event: "deleted", reason: "deleted" });
  }

  /**
   * Puts a ticket on its lane and rings the doorbell. The message id makes a repeat of the same ticket count once;
   * `repair` makes it count again, for a message that was lost.
   * @returns its sequence in the stream
   */
  async publish(lane: Lane, ticket: Omit<Ticket, "type">, repair?: string): Promise<number> {
    await this.ensureLane(lane);
    const message: Ticket = { type: "navvy.ticket.v1", ...ticket };
    const msgID = [ticket.id, ticket.ticket, repair].filter((part) => part !== undefined).join(".");
    const publishing = persist(this.#bus, () => this.#bus.js.publish(this.#bus.subjects.lane(lane), encode(message), { msgID }));
    const { seq: sequence } = await publishing.catch((error: unknown) => {
      throw translate(error, `queue task ${ticket.id} on ${lane.queue}`, this.#bus.source);
    });
    this.ring(lane);
    return sequence;
  }

  /** The doorbell: losing one costs latency only. */
  ring({ queue, shape }: Pick<Lane, "queue" | "shape">): void {
    if (!this.#bus.nc.isClosed()) this.#bus.nc.publish(this.#bus.subjects.wake(queue, shape));
  }

  /** Calls back when the doorbell of a queue and shape goes to this connection: of all that listen, one is woken. Returns how to stop; what is on its way still comes. */
  onRing({ queue, shape }: Pick<Lane, "queue" | "shape">, listener: () => void): () => void {
    const { nc, subjects } = this.#bus;
    const subscription = nc.subscribe(subjects.wake(queue, shape), { queue: "agents", callback: () => listener() });
    return () => {
      // Drained: a ring that is on its way already would reach nobody else.
      if (!nc.isClosed()) subscription.drain().catch(() => undefined); // the connection was closed meanwhile
    };
  }

  /**
   * Refuses a queue that does not exist when its name looks like a slip of an existing one; any other name is created.
   * @throws NavvyError not_found
   */
  async require(name: string, options: { create?: boolean } = {}): Promise<void> {
    checkName("queue", name);
    const known = this.#seen.get(name);
    if (options.create || (known !== undefined && performance.now() - known < LANE_CACHE_MS)) return;
    if (await this.bucket.get(name)) return void this.#seen.set(name, performance.now());
    const names = await this.names();
    if (names.includes(name)) return; // made by someone else between the two looks
    if (closest(name, names) !== undefined) throw this.#unknown(name, names);
  }

  /** Makes the queue's entry and the lane's consumer where they are missing. */
  async ensureLane(lane: Lane): Promise<void> {
    const key = this.#bus.subjects.laneConsumer(lane);
    const known = this.#ready.get(key);
    if (known !== undefined && performance.now() - known < LANE_CACHE_MS) return;
    const wanted = { class: lane.class, shape: lane.shape, ...(lane.needs ? { needs: lane.needs } : {}) };
    const isSame = (have: QueueRecord["lanes"][number]) => have.class === wanted.class && have.shape === wanted.shape;
    // A client of an older navvy may have written the entry without the needs: nobody could tell then whom the lane fits.
    const has = (queue: QueueRecord) => queue.lanes.some((have) => isSame(have) && (have.needs !== undefined || !wanted.needs));
    const add = (queue: QueueRecord) =>
      has(queue) ? undefined : { ...queue, lanes: [...queue.lanes.filter((have) => !isSame(have)), wanted] };
    const entry = await this.bucket.get(lane.queue);
    // The consumer comes first: whoever sees the lane in the entry may pull from it.
    if (!entry || !has(entry.value)) await this.#ensureConsumer(lane);
    if (!entry && (await this.bucket.create(lane.queue, { ...this.#blank(lane.queue), lanes: [wanted] })) !== undefined) {
      this.#events.emit({ kind: "queue", id: lane.queue, event: "created", reason: "first use" });
    } else {
      await this.bucket.modify(lane.queue, add);
    }
    this.#ready.set(key, performance.now());
  }

  /** The names of all consumers of lanes, also of those that no queue names. */
  async consumers(): Promise<string[]> {
    try {
      const names: string[] = [];
      for await (const { name } of this.#bus.jsm.consumers.list(this.#stream)) names.push(name);
      return names;
    } catch (error) {
      throw translate(error, "list the lanes' consumers", this.#bus.source);
    }
  }

  /** Messages that were set aside because they could not be read, and that nobody has said to have seen. */
  setAside(queue?: string): Promise<FleetEvent[]> {
    return readSetAside(this.#bus, queue);
  }

  /** Takes what was set aside so far off the list; the events stay. */
  async markSetAsideSeen(queue: string): Promise<void> {
    this.#events.emit({ kind: "queue", id: checkName("queue", queue), event: "set_aside_seen", reason: "looked at" });
    await this.#events.flush();
  }

  /** A lane's figures; undefined when it has no consumer. */
  async laneInfo(lane: Lane): Promise<ConsumerInfo | undefined> {
    try {
      return await this.#bus.jsm.consumers.info(this.#stream, this.#bus.subjects.laneConsumer(lane));
    } catch (error) {
      if (jetStreamCode(error) === JS_ERROR.consumerNotFound) return undefined;
      throw translate(error, `look at queue ${lane.queue}`, this.#bus.source);
    }
  }

  async #ensureConsumer(lane: Lane): Promise<void> {
    try {
      await this.#bus.jsm.consumers.add(this.#stream, {
        durable_name: this.#bus.subjects.laneConsumer(lane),
        filter_subject: this.#bus.subjects.lane(lane),
        ack_policy: AckPolicy.Explicit,
        deliver_policy: DeliverPolicy.All,
        replay_policy: ReplayPolicy.Instant,
        ack_wait: 30 * 1e9,
        max_deliver: -1,
        max_ack_pending: 100_000,
      });
    } catch (error) {
      throw translate(error, `make lane ${lane.queue}/${lane.class}/${lane.shape}`, this.#bus.source);
    }
  }

  /** Takes one lane away. Whoever enters it again meanwhile keeps it. */
  async removeLane(lane: Lane): Promise<void> {
    const isSame = (have: QueueRecord["lanes"][number]) => have.class === lane.class && have.shape === lane.shape;
    await this.bucket.modify(lane.queue, (queue) => ({ ...queue, lanes: queue.lanes.filter((have) => !isSame(have)) }));
    this.#ready.delete(this.#bus.subjects.laneConsumer(lane));
    await this.#bus.jsm.consumers.delete(this.#stream, this.#bus.subjects.laneConsumer(lane)).catch(() => false); // another one was faster
    const entry = await this.bucket.get(lane.queue);
    if (entry?.value.lanes.some(isSame)) await this.#ensureConsumer(lane);
  }

  /** Asserts every lane of every queue again: consumers may be lost with a server's disk. */
  async repairLanes(): Promise<void> {
    for (const queue of await this.list()) {
      for (const lane of queue.lanes) {
        if (!(await this.laneInfo({ queue: queue.name, ...lane }))) await this.#repairLane({ queue: queue.name, ...lane });
      }
    }
  }

  async #repairLane(lane: Lane): Promise<void> {
    await this.#ensureConsumer(lane);
    const reason = `the lane ${lane.class}/${lane.shape} had lost its consumer: made again`;
    this.#events.emit({ kind: "queue", id: lane.queue, event: "repaired", reason, data: { class: lane.class, shape: lane.shape } });
  }

  get #stream(): string {
    return this.#bus.assets.streams.queue.name;
  }

  #blank(name: string): QueueRecord {
    return {
      type: "navvy.queue.v1",
      name: checkName("queue", name),
      createdAt: new Date().toISOString(),
      createdBy: this.#bus.actor,
      lanes: [],
    };
  }

  async #change(name: string, change: (queue: QueueRecord) => QueueRecord, said: { event: string; reason: string }): Promise<void> {
    const changed = await this.bucket.modify(checkName("queue", name), change);
    if (!changed) throw this.#unknown(name, await this.names());
    this.#events.emit({ kind: "queue", id: name, ...said, key: changed.revision });
  }

  #unknown(name: string, names: string[]): NavvyError {
    const meant = closest(name, names);
    return new NavvyError(
      "not_found",
      `queue ${JSON.stringify(name)} does not exist${meant ? `; did you mean ${JSON.stringify(meant)}?` : ""}`,
      {
        why: names.length ? `there are: ${names.join(", ")}` : "there are no queues yet",
        fix: [...(meant ? [`use ${meant}`] : []), `navvy queue create ${name}`],
      },
    );
  }
}

/** Rank of a class: lower runs first. */
export function classRank(name: (typeof CLASSES)[number]): number {
  return CLASSES.indexOf(name);
}
