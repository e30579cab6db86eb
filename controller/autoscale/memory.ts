import { Bucket, type Navvy } from "../../broker/index.js";
import { JournalEntry, type ParameterValue } from "../../protocol/index.js";
import { patiently } from "../patience.js";
import { type Memory, NOTHING } from "./plan.js";

/** What the entry is called in the controller's journal. */
const KEY = "machines";

/** Keeps an autoscaler's memory in the journal of its task, so that it is there when the task runs again elsewhere. */
export class KeptMemory {
  readonly #navvy: Navvy;
  readonly #bucket: Bucket<typeof JournalEntry>;
  readonly #entry: string;

  constructor(navvy: Navvy, task: string) {
    this.#navvy = navvy;
    this.#bucket = new Bucket(navvy.bus, navvy.bus.assets.buckets.journal.name, JournalEntry);
    this.#entry = `${task}.${KEY}`;
  }

  async load(): Promise<Memory> {
    const entry = await patiently(() => this.#bucket.get(this.#entry));
    return { ...NOTHING, ...(entry?.value.value as Partial<Memory> | undefined) };
  }

  async save(memory: Memory): Promise<void> {
    const value = JSON.parse(JSON.stringify(memory)) as ParameterValue;
    const entry: JournalEntry = { type: "navvy.journal.v1", key: KEY, at: new Date().toISOString(), by: this.#navvy.bus.actor, value };
    await patiently(async () => {
      if ((await this.#bucket.create(this.#entry, entry)) === undefined) await this.#bucket.modify(this.#entry, () => entry);
    });
  }
}
