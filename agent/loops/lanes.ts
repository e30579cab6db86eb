import type { Logger } from "pino";
import { type Bucket, type Navvy, Watch } from "../../broker/index.js";
import { CLASSES, type Lane, type QueueRecord } from "../../protocol/index.js";
import type { Bell } from "./doorbells.js";

export interface LanesOptions {
  served: string[];
  /** With the lanes that are new, or can be asked again. */
  onChange: (lanes: Lane[]) => void;
  log: Logger;
}

/** The lanes of the queues that an agent serves, kept current by a watch on the queues' entries. */
export class Lanes {
  readonly #queues = new Map<string, QueueRecord>();
  readonly #served: string[];
  #watch: Watch | undefined;

  private constructor(served: string[]) {
    this.#served = served;
  }

  /** Resolves when every queue is known: claiming from half of them would break their order. */
  static async open(navvy: Navvy, options: LanesOptions): Promise<Lanes> {
    const lanes = new Lanes(options.served);
    const { bucket } = navvy.queues;
    let ready = () => {};
    const isReady = new Promise<void>((resolve) => (ready = resolve));
    lanes.#watch = await Watch.open(navvy.bus, bucket as unknown as Bucket<never>, {
      keys: ">",
      onEntry: (raw) => {
        try {
          const entry = bucket.read(raw);
          const before = new Set(lanes.#all(raw.key).map(laneKey));
          if (entry) lanes.#queues.set(raw.key, entry.value);
          else lanes.#queues.delete(raw.key);
          options.onChange(lanes.#all(raw.key).filter((lane) => !before.has(laneKey(lane))));
        } catch (error) {
          options.log.warn({ err: error, queue: raw.key }, "a queue's entry can not be read: served as it was known before");
        }
      },
      onReady: () => ready(),
    });
    await isReady;
    return lanes;
  }

  close(): void {
    this.#watch?.close();
  }

  /**
   * The lanes in the order to ask them, those of one class and queue together: class by class, in each class the queues from
   * `first` on. `lowestFirst` turns the classes round, now and then, so that the lowest never starves.
   */
  inOrder(options: { first: number; lowestFirst: boolean }): Lane[][] {
    const queues = this.#served.map((_, i) => this.#served[(i + options.first) % this.#served.length]);
    const classes = options.lowestFirst ? CLASSES.toReversed() : CLASSES;
    return classes.flatMap((name) => queues.map((queue) => this.#lanesOf(queue ?? "", name)));
  }

  /** The shapes that a queue has lanes for, each once. */
  shapesOf(queue: string): Bell[] {
    const lanes = this.#queues.get(queue)?.lanes ?? [];
    return [...new Map(lanes.map(({ shape, needs }) => [shape, { queue, shape, needs }])).values()];
  }

  /** What holds for a queue's tasks unless they say it themselves. */
  defaultsOf(queue: string): Pick<QueueRecord, "onDisconnect"> {
    const onDisconnect = this.#queues.get(queue)?.onDisconnect;
    return onDisconnect ? { onDisconnect } : {};
  }

  #lanesOf(queue: string, name: Lane["class"]): Lane[] {
    return this.#all(queue).filter((lane) => lane.class === name);
  }

  /** None of a queue that is paused, or that is not served here. */
  #all(queue: string): Lane[] {
    const record = this.#queues.get(queue);
    if (!record || record.paused || !this.#served.includes(queue)) return [];
    return record.lanes.map((lane) => ({ queue, ...lane }));
  }
}

/** A lane that came without its needs is another one once it has them. */
function laneKey({ class: name, shape, needs }: Lane): string {
  return `${name}.${shape}.${needs === undefined ? "" : "n"}`;
}
