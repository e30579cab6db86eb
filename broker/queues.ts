import { AckPolicy, type ConsumerInfo, DeliverPolicy, type JetStreamManager, ReplayPolicy } from "nats";
import { CLASSES, checkName, closest, encode, type Lane, NavvyError, QueueRecord, type Ticket } from "../protocol/index.js";
import { Bucket } from "./bucket.js";
import type { Bus } from "./bus.js";
import type { Events } from "./events.js";
import { isNats, isUnanswered, JS_ERROR, jetStreamCode, translate } from "./nats-error.js";
import { snapshot } from "./snapshot.js";

const LANE_CACHE_MS = 5_000;

/** Queues: their entries, their lanes (one durable consumer per class and shape), and the tickets on them. */
export class Queues {
  readonly bucket: Bucket<typeof QueueRecord>;
  readonly #bus: Bus;
  readonly #events: Events;
  /** Lanes that were seen to be there, and queues, with when. */
  readonly #ready = new Map<string, number>();
  readonly #seen = new Map<string, number>();

  constructor(bus: Bus, events: Events) {
    this.#bus = bus;
    this.#events = events;
    this.bucket = new Bucket(bus, bus.assets.buckets.queues.name, QueueRecord);
  }

  /** @throws NavvyError conflict when there is one of that name */
  async create(name: string): Promise<QueueRecord> {
    const record = this.#blank(name);
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
    for (const lane of queue.lanes) {
      const consumer = this.#bus.subjects.laneConsumer({ queue: name, ...lane });
      await this.#bus.jsm.consumers.delete(this.#stream, consumer).catch(() => false); // gone already: another delete was faster
    }
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
    let sequence: number;
    const message: Ticket = { type: "navvy.ticket.v1", ...ticket };
    const msgID = [ticket.id, ticket.ticket, repair].filter((part) => part !== undefined).join(".");
    for (let tries = 0; ; tries++) {
      try {
        sequence = (await this.#bus.js.publish(this.#bus.subjects.lane(lane), encode(message), { msgID })).seq;
        break;
      } catch (error) {
        if (!isUnanswered(error) || tries >= 3) throw translate(error, `queue task ${ticket.id} on ${lane.queue}`, this.#bus.source);
      }
    }
    this.ring(lane);
    return sequence;
  }

  /** The doorbell: losing one costs latency only. */
  ring({ queue, shape }: Pick<Lane, "queue" | "shape">): void {
    if (!this.#bus.nc.isClosed()) this.#bus.nc.publish(this.#bus.subjects.wake(queue, shape));
  }

  /** Calls back when the doorbell of a queue and shape goes to this connection: of all that listen, one is woken. Returns how to stop. */
  onRing({ queue, shape }: Pick<Lane, "queue" | "shape">, listener: () => void): () => void {
    const { nc, subjects } = this.#bus;
    const subscription = nc.subscribe(subjects.wake(queue, shape), { queue: "agents", callback: () => listener() });
    return () => {
      if (!nc.isClosed()) subscription.unsubscribe();
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
    if (closest(name, names) !== undefined) throw this.#unknown(name, names);
  }

  /** Makes the queue's entry and the lane's consumer where they are missing. */
  async ensureLane(lane: Lane): Promise<void> {
    const key = this.#bus.subjects.laneConsumer(lane);
    const known = this.#ready.get(key);
    if (known !== undefined && performance.now() - known < LANE_CACHE_MS) return;
    const wanted = { class: lane.class, shape: lane.shape };
    const has = (queue: QueueRecord) => queue.lanes.some((have) => have.class === wanted.class && have.shape === wanted.shape);
    const add = (queue: QueueRecord) => (has(queue) ? undefined : { ...queue, lanes: [...queue.lanes, wanted] });
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

  /** A lane's figures; undefined when it has no consumer. */
  async laneInfo(lane: Lane): Promise<ConsumerInfo | undefined> {
    try {
      return await this.#bus.jsm.consumers.info(this.#stream, this.#bus.subjects.laneConsumer(lane));
    } catch (error) {
      if (jetStreamCode(error) === JS_ERROR.consumerNotFound) return undefined;
      throw translate(error, `look at queue ${lane.queue}`, this.#bus.source);
    }
  }

  /** The oldest message that still waits on a lane; undefined when the lane is drained. */
  async oldestWaiting(lane: Lane): Promise<{ storedAt: Date; sequence: number } | undefined> {
    const info = await this.laneInfo(lane);
    if (!info || info.num_pending + info.num_ack_pending === 0) return undefined;
    try {
      const query = { seq: info.ack_floor.stream_seq + 1, next_by_subj: this.#bus.subjects.lane(lane) };
      const message = await direct(this.#bus.jsm).getMessage(this.#stream, query);
      return { storedAt: message.time, sequence: message.seq };
    } catch (error) {
      if (jetStreamCode(error) === JS_ERROR.messageNotFound || isNats(error, "404")) return undefined;
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

  /** Asserts every lane of every queue again: consumers may be lost with a server's disk. */
  async repairLanes(): Promise<void> {
    for (const queue of await this.list()) {
      for (const lane of queue.lanes) {
        if (!(await this.laneInfo({ queue: queue.name, ...lane }))) await this.#ensureConsumer({ queue: queue.name, ...lane });
      }
    }
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

/** The direct reads of the client, which its published types leave out of the manager. */
function direct(jsm: JetStreamManager) {
  return (
    jsm as unknown as {
      direct: { getMessage(stream: string, query: { seq: number; next_by_subj: string }): Promise<{ time: Date; seq: number }> };
    }
  ).direct;
}

/** Rank of a class: lower runs first. */
export function classRank(name: (typeof CLASSES)[number]): number {
  return CLASSES.indexOf(name);
}
