import { setTimeout as delay } from "node:timers/promises";
import { CacheEntry, isEnded, type TaskRecord } from "../protocol/index.js";
import { Bucket, type Entry } from "./bucket.js";
import type { Bus } from "./bus.js";

/** From the claim of a key to its task's first record. By two machines' clocks. */
const COMING_MS = 15_000;
const LOOK_AGAIN_MS = 100;

/** Whose results stand for what a step would do: by the hash of everything that decides what comes out. */
export class Cache {
  readonly #bus: Bus;
  readonly #bucket: Bucket<typeof CacheEntry>;
  readonly #tasks: Bucket<typeof TaskRecord>;

  constructor(bus: Bus, tasks: Bucket<typeof TaskRecord>) {
    this.#bus = bus;
    this.#bucket = new Bucket(bus, bus.assets.buckets.cache.name, CacheEntry);
    this.#tasks = tasks;
  }

  /**
   * Claims a key for a task, which is about to run. One at a time in the whole fleet: while another's task has the key and may still
   * bring a result, or has brought it, that one is given back instead.
   * @returns undefined: the key is the task's own
   */
  async claim(key: string, task: string, parts: Record<string, string>): Promise<TaskRecord | undefined> {
    for (;;) {
      const entry = await this.#bucket.get(key);
      const other = entry && entry.value.task !== task ? await this.#usable(entry) : undefined;
      if (other === "coming") {
        await delay(LOOK_AGAIN_MS);
        continue;
      }
      if (other) return other;
      const claimed: CacheEntry = { type: "navvy.cache.v1", task, at: new Date().toISOString(), by: this.#bus.actor, parts };
      if (entry?.value.task === task) return undefined;
      const revision = entry ? await this.#bucket.update(key, claimed, entry.revision) : await this.#bucket.create(key, claimed);
      if (revision !== undefined) return undefined;
    }
  }

  /** Takes a key for a task, whoever had it. */
  async take(key: string, task: string, parts: Record<string, string>): Promise<void> {
    const entry: CacheEntry = { type: "navvy.cache.v1", task, at: new Date().toISOString(), by: this.#bus.actor, parts };
    while ((await this.#bucket.create(key, entry)) === undefined) if (await this.#bucket.modify(key, () => entry)) return;
  }

  async get(key: string): Promise<CacheEntry | undefined> {
    return (await this.#bucket.get(key))?.value;
  }

  /** A task that has completed with all that it left, or one that is on its way to it. */
  async #usable({ value }: Entry<CacheEntry>): Promise<TaskRecord | "coming" | undefined> {
    const record = (await this.#tasks.get(value.task))?.value;
    // Whoever claims a key makes the task right after: one that was deleted, or whose maker died, is not waited for long.
    if ((!record || record.status === "draft") && Date.now() - Date.parse(value.at) < COMING_MS) return "coming";
    if (!record || record.archived || record.expired?.["artifacts"] !== undefined) return undefined;
    if (record.status === "queued" || record.status === "running") return record;
    return isEnded(record.status) && (record.status === "completed" || record.status === "published") ? record : undefined;
  }
}
