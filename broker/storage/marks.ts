import type { KvEntry } from "nats";
import { NavvyError, unpack } from "../../protocol/index.js";
import { Bucket } from "../bucket.js";
import type { Bus } from "../bus.js";
import { JS_ERROR, jetStreamCode, translate } from "../nats-error.js";
import { persist } from "../persist.js";
import { Watch } from "../watch.js";
import { journalObjects } from "./journal-objects.js";
import { mediaObjects } from "./media-objects.js";
import { type ReferenceParts, referencesOf } from "./references.js";

const CATCH_UP_MS = 30_000;
const LOOK_EVERY_MS = 20;

/** A key that was deleted, and the message that says so. */
export interface Marker {
  key: string;
  revision: number;
  at: Date;
}

/**
 * What records refer to, kept up to date by a watch for as long as it is open, and what media and journals named at its opening. What was referred
 * to once stays marked, so that whoever just read it from a record that has gone since loses nothing.
 */
export class Marks {
  readonly #bus: Bus;
  readonly #parts: ReferenceParts;
  readonly #name: string;
  readonly #marked = new Set<string>();
  readonly #ids = new Set<string>();
  readonly #markers = new Map<string, Marker>();
  #watch: Watch | undefined;
  #seen = 0;
  #marking: Promise<void> = Promise.resolve();
  #failure: unknown;

  /** Resolves once every record was seen. */
  static async open(bus: Bus, parts: ReferenceParts): Promise<Marks> {
    const marks = new Marks(bus, parts);
    let ready = () => {};
    const isReady = new Promise<void>((resolve) => (ready = resolve));
    const bucket = new Bucket(bus, marks.#name, undefined as never);
    marks.#watch = await Watch.open(bus, bucket as Bucket<never>, { keys: ">", onEntry: (entry) => marks.#take(entry), onReady: ready });
    await isReady;
    try {
      await marks.catchUp();
      for await (const name of mediaObjects(bus, parts.objects)) marks.#marked.add(name);
      for await (const name of journalObjects(bus, parts.objects)) marks.#marked.add(name);
      return marks;
    } catch (error) {
      marks.close();
      throw error;
    }
  }

  private constructor(bus: Bus, parts: ReferenceParts) {
    this.#bus = bus;
    this.#parts = parts;
    this.#name = bus.assets.buckets.tasks.name;
  }

  has(sha256: string): boolean {
    return this.#marked.has(sha256);
  }

  /** Whether there is, or was while this is open, a record of that task. */
  hasTask(id: string): boolean {
    return this.#ids.has(id);
  }

  /** Of deleted records. */
  get markers(): Marker[] {
    return [...this.#markers.values()];
  }

  /**
   * Resolves when everything that any record says by now is marked.
   * @throws NavvyError timeout; and whatever kept a manifest from being read: then nothing may be taken for garbage
   */
  async catchUp(): Promise<void> {
    const last = await this.#lastRevision();
    const deadline = performance.now() + CATCH_UP_MS;
    while (this.#seen < last) {
      if (performance.now() > deadline) throw behind(this.#name, this.#bus.source);
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    }
    await this.#marking;
    if (this.#failure !== undefined) throw this.#failure;
  }

  close(): void {
    this.#watch?.close();
  }

  #take(entry: KvEntry): void {
    this.#seen = Math.max(this.#seen, entry.revision);
    if (entry.operation !== "PUT") {
      this.#markers.set(entry.key, { key: entry.key, revision: entry.revision, at: entry.created });
      return;
    }
    this.#markers.delete(entry.key);
    this.#ids.add(entry.key);
    const { key, value } = entry;
    this.#marking = this.#marking.then(() => this.#mark(key, value)).catch((error: unknown) => void (this.#failure ??= error));
  }

  async #mark(key: string, value: Uint8Array): Promise<void> {
    const record = readable(value, `${this.#name}/${key}`);
    for await (const sha256 of referencesOf(record, this.#parts)) this.#marked.add(sha256);
  }

  /** Of the last message that is still there: a marker may have been taken away since. */
  async #lastRevision(): Promise<number> {
    const query = { last_by_subj: `$KV.${this.#name}.>` };
    try {
      return (await persist(this.#bus, () => this.#bus.jsm.streams.getMessage(`KV_${this.#name}`, query))).seq;
    } catch (error) {
      if (jetStreamCode(error) === JS_ERROR.messageNotFound) return 0;
      throw translate(error, `look at bucket ${this.#name}`, this.#bus.source);
    }
  }
}

/** Names stand as text in the bytes, so also a record that is damaged keeps what it refers to. */
function readable(value: Uint8Array, what: string): unknown {
  try {
    return unpack(value, what);
  } catch {
    return Buffer.from(value).toString("latin1");
  }
}

function behind(bucket: string, source: string): NavvyError {
  return new NavvyError("timeout", `the latest records of ${bucket} did not come within ${CATCH_UP_MS / 1000} s`, {
    why: `${source} is slow or restarts; as long as nobody knows what records refer to, nothing is taken for garbage`,
    fix: "try again: what was done so far stays done",
  });
}
