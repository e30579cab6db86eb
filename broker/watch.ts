import type { KvEntry, QueuedIterator } from "nats";
import type { Bucket } from "./bucket.js";
import type { Bus } from "./bus.js";

const ENDED_MS = 500;

/** Handlers must not throw: whoever reads an entry that can not be read deals with it there. */
export interface WatchHandlers {
  /** Every current entry first, then each change; a deleted key comes with operation DEL or PURGE. */
  onEntry: (entry: KvEntry) => void;
  /** All current entries have been given. Called again after every reconnect, when all of them came once more. */
  onReady?: () => void;
}

/**
 * Watches keys of a bucket for as long as it is open.
 *
 * The client's own watch needs 12.6 s to come back after a server restart (0.05 s when made anew), so it is made anew on
 * each reconnect; entries may therefore come twice, and handlers must not mind.
 */
export class Watch {
  readonly #bucket: Bucket<never>;
  readonly #keys: string;
  readonly #handlers: WatchHandlers;
  readonly #offReconnect: () => void;
  #current: QueuedIterator<KvEntry> | undefined;
  #generation = 0;
  #isOpen = true;

  private constructor(bus: Bus, bucket: Bucket<never>, options: { keys: string } & WatchHandlers) {
    this.#bucket = bucket;
    this.#keys = options.keys;
    this.#handlers = options;
    this.#offReconnect = bus.onReconnect(() => void this.#renew());
  }

  /** Resolves when the watch is made; the current entries follow by `onEntry`. */
  static async open(bus: Bus, bucket: Bucket<never>, options: { keys: string } & WatchHandlers): Promise<Watch> {
    const watch = new Watch(bus, bucket, options);
    try {
      await watch.#make();
      return watch;
    } catch (error) {
      watch.close();
      throw error;
    }
  }

  close(): void {
    this.#isOpen = false;
    this.#offReconnect();
    this.#current?.stop();
  }

  /** A server that is just up may not answer at once: tried until it does or the watch is closed. */
  async #renew(firstDelayMs = 0): Promise<void> {
    const generation = ++this.#generation;
    if (firstDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, firstDelayMs));
    for (let delayMs = 50; this.#isOpen && generation === this.#generation; delayMs = Math.min(delayMs * 2, 2_000)) {
      try {
        await this.#make();
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, delayMs)); // still unreachable: try again, a new reconnect starts over
      }
    }
  }

  async #make(): Promise<void> {
    const generation = this.#generation;
    const before = this.#current;
    this.#current = undefined; // that it ends is no news
    before?.stop();
    const kv = await this.#bucket.handle();
    const made: { iterator?: QueuedIterator<KvEntry> } = {};
    let isEarly = false;
    // In turn with the entries it comes after the last current one; called before the iterator is ours, those still wait in it.
    const initializedFn = () => {
      if (made.iterator) this.#ready(made.iterator);
      else isEarly = true;
    };
    const iterator = await this.#bucket.ask(`watch ${this.#keys}`, () => kv.watch({ key: this.#keys, initializedFn }));
    if (generation !== this.#generation) return iterator.stop(); // a newer one is being made
    made.iterator = iterator;
    this.#current = iterator;
    if (!this.#isOpen) iterator.stop();
    void this.#follow(iterator);
    if (isEarly) this.#readyOnceRead(iterator);
  }

  #ready(iterator: QueuedIterator<KvEntry>): void {
    if (this.#isOpen && iterator === this.#current) this.#handlers.onReady?.();
  }

  #readyOnceRead(iterator: QueuedIterator<KvEntry>): void {
    if (iterator.getPending() === 0) this.#ready(iterator);
    else setImmediate(() => this.#readyOnceRead(iterator));
  }

  async #follow(iterator: QueuedIterator<KvEntry>): Promise<void> {
    try {
      for await (const entry of iterator) if (this.#isOpen && iterator === this.#current) this.#handlers.onEntry(entry);
    } catch {
      // The server ended the watch, with an error or without one.
    }
    if (this.#isOpen && iterator === this.#current) void this.#renew(ENDED_MS); // made anew, with a breath in between
  }
}
