import { createHash } from "node:crypto";
import { JournalEntry, MAX_JOURNAL_VALUE_BYTES, NavvyError, type ParameterValue } from "../protocol/index.js";
import { Bucket } from "./bucket.js";
import type { Bus } from "./bus.js";
import type { Objects } from "./objects.js";
import { snapshot } from "./snapshot.js";
import { Watch } from "./watch.js";

/** What a controller has noted under a key. */
export interface Noted {
  key: string;
  value: ParameterValue;
  at: string;
  by: string;
}

/** How often a task was begun anew: its children of an earlier time are none of this one's. */
const ROUND = "round";

/** The journals of controllers: what each has done, so that it can go on after its process was lost. */
export class Journals {
  readonly #parts: Parts;

  constructor(bus: Bus, objects: Objects) {
    this.#parts = { bus, objects, bucket: new Bucket(bus, bus.assets.buckets.journal.name, JournalEntry) };
  }

  /** The journal of one task, by its id. */
  of(task: string): Journal {
    return new Journal(this.#parts, task);
  }
}

interface Parts {
  bus: Bus;
  objects: Objects;
  bucket: Bucket<typeof JournalEntry>;
}

/** One controller's journal. Keys are any text; a value is what JSON can say. */
export class Journal {
  readonly #parts: Parts;
  readonly task: string;

  constructor(parts: Parts, task: string) {
    this.#parts = parts;
    this.task = task;
  }

  async get(key: string): Promise<Noted | undefined> {
    const entry = await this.#parts.bucket.get(this.#subject(key));
    return entry && this.#noted(entry.value);
  }

  /**
   * Notes a value once and for all.
   * @returns what counts: of two that note the same key, what the first one noted
   * @throws NavvyError invalid_argument: JSON has no word for the value
   */
  async put(key: string, value: ParameterValue): Promise<Noted> {
    const entry = await this.#entry(key, value);
    const revision = await this.#parts.bucket.create(this.#subject(key), entry);
    if (revision !== undefined) return { key, value, at: entry.at, by: entry.by };
    return (await this.get(key)) ?? this.put(key, value); // deleted in between
  }

  /** Notes a value in place of what was there. */
  async set(key: string, value: ParameterValue): Promise<void> {
    const entry = await this.#entry(key, value);
    const subject = this.#subject(key);
    for (;;) {
      if ((await this.#parts.bucket.create(subject, entry)) !== undefined) return;
      if (await this.#parts.bucket.modify(subject, () => entry)) return;
    }
  }

  /** Changes a value by compare-and-set, so that no two changes are lost to each other. @returns what is noted now */
  async change(key: string, to: (value: ParameterValue | undefined) => ParameterValue): Promise<ParameterValue> {
    const subject = this.#subject(key);
    const { bucket } = this.#parts;
    for (;;) {
      const entry = await bucket.get(subject);
      const next = to(entry && (await this.#noted(entry.value)).value);
      const value = await this.#entry(key, next);
      const revision = entry ? await bucket.update(subject, value, entry.revision) : await bucket.create(subject, value);
      if (revision !== undefined) return next;
    }
  }

  async delete(key: string): Promise<void> {
    await this.#parts.bucket.delete(this.#subject(key));
  }

  /** All of it, by key. */
  async entries(): Promise<Map<string, Noted>> {
    const { bus, bucket } = this.#parts;
    const found = await snapshot(bus, bucket, { keys: `${this.task}.>` });
    const noted = await Promise.all(found.map(({ value }) => this.#noted(value)));
    return new Map(noted.map((one) => [one.key, one]));
  }

  /** Calls back with each entry that there is and that comes, until it is closed. */
  async watch(onNoted: (noted: Noted) => void): Promise<{ close(): void }> {
    const { bus, bucket } = this.#parts;
    return Watch.open(bus, bucket as unknown as Bucket<never>, {
      keys: `${this.task}.>`,
      onEntry: (raw) => {
        const entry = bucket.read(raw);
        if (entry) void this.#noted(entry.value).then(onNoted, () => undefined); // what can not be read is no news
      },
    });
  }

  /** 0, then one more each time the task was begun anew. */
  async round(): Promise<number> {
    return Number((await this.get(ROUND))?.value ?? 0);
  }

  /** Forgets all of it, for a task that begins anew. */
  async restart(): Promise<void> {
    const keys = await this.#keys();
    if (keys.length === 0) return;
    await this.set(ROUND, (await this.round()) + 1);
    await this.#remove(keys.filter((key) => key !== this.#subject(ROUND)));
  }

  /** Removes all of it, with its task. */
  async clear(): Promise<void> {
    await this.#remove(await this.#keys());
  }

  async #keys(): Promise<string[]> {
    const { bus, bucket } = this.#parts;
    return (await snapshot(bus, bucket, { keys: `${this.task}.>` })).map(({ key }) => key);
  }

  async #remove(keys: string[]): Promise<void> {
    await Promise.all(keys.map((key) => this.#parts.bucket.delete(key)));
  }

  async #entry(key: string, value: ParameterValue): Promise<JournalEntry> {
    const { bus, objects } = this.#parts;
    const common = { type: "navvy.journal.v1" as const, key, at: new Date().toISOString(), by: bus.actor };
    const bytes = new TextEncoder().encode(asJson(key, value));
    if (bytes.length <= MAX_JOURNAL_VALUE_BYTES) return { ...common, value };
    const { sha256, sizeBytes } = await objects.putBytes(bytes);
    return { ...common, object: { sha256, sizeBytes } };
  }

  async #noted({ key, at, by, value, object }: JournalEntry): Promise<Noted> {
    if (!object) return { key, at, by, value: value ?? null };
    const bytes = await this.#parts.objects.getBytes(object.sha256);
    return { key, at, by, value: JSON.parse(new TextDecoder().decode(bytes)) as ParameterValue };
  }

  #subject(key: string): string {
    return `${this.task}.${token(key)}`;
  }
}

/** As it is where it can stand in a key of NATS, else its hash. */
function token(key: string): string {
  if (/^[A-Za-z0-9_/-]{1,128}$/.test(key)) return key;
  return `=${createHash("sha256").update(key).digest("hex").slice(0, 40)}`;
}

function asJson(key: string, value: ParameterValue): string {
  const text = JSON.stringify(value) as string | undefined;
  if (text !== undefined) return text;
  throw new NavvyError("invalid_argument", `step ${JSON.stringify(key)} gave what can not be kept in the journal`, {
    why: "a value is what JSON can say: null, true, numbers, text, lists and maps of these",
    fix: "keep anything else in a file or an artifact, and give its name",
  });
}
