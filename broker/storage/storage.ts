import { GcRecord, NavvyError, type Retention, type TaskRecord } from "../../protocol/index.js";
import type { Artifacts } from "../artifacts.js";
import { Bucket } from "../bucket.js";
import type { Bus } from "../bus.js";
import type { Events } from "../events.js";
import type { Objects } from "../objects.js";
import { snapshot } from "../snapshot.js";
import type { Tasks } from "../tasks/index.js";
import { expire } from "./expire.js";
import { holdingsOf } from "./holdings.js";
import { takeInventory } from "./inventory.js";
import { Marks } from "./marks.js";
import { type Excess, type Expiry, type Holding, type Plan, planRetention } from "./plan.js";
import { RetentionSettings } from "./settings.js";
import { type ObjectUse, objectUse, type PlaceUse, placeUse, type StoreUse, storeUse } from "./survey.js";
import { findGarbage, type Garbage, type SweepOptions, takeAway } from "./sweep.js";
import { templatesOf } from "./templates.js";

/** An upload that takes longer than that before anything refers to it is none. */
export const GC_GRACE_MS = 24 * 60 * 60_000;
/** Longer than any request of a client is waited for. */
const SETTLE_MS = 15_000;
const MIN_GRACE_MS = 60_000;
const KEY = "gc";

export interface StorageParts {
  bus: Bus;
  tasks: Tasks;
  objects: Objects;
  artifacts: Artifacts;
  events: Events;
  /** Default: the machine's. */
  clock?: () => number;
}

export interface GcOptions {
  /** Only say what would go. */
  isDry?: boolean;
  /** Younger objects are left alone, since an upload comes before the record that refers to it. Default a day, at least a minute. */
  graceMs?: number;
  /** How long what looks like garbage is watched before it goes; default 15 s. */
  settleMs?: number;
  /** Told of each step, in a sentence; it is waited for. */
  onStep?: (sentence: string) => void | Promise<void>;
  signal?: AbortSignal;
}

/** What went, or would go. */
export interface GcReport {
  isDry: boolean;
  expired: Expiry[];
  excesses: Excess[];
  objects: { sha256: string; sizeBytes: number }[];
  /** Nothing refers to them either, but they are younger than the grace. */
  young: { count: number; bytes: number };
  /** Uploads that were killed: how many, and their chunks. */
  uploads: { count: number; chunks: number };
  /** Messages of logs and metrics of tasks that are gone. */
  leftovers: number;
  /** Traces of deletions. */
  markers: number;
  /** Records that can not be read: a newer navvy's, or damaged. Retention leaves them alone; what they refer to is kept. */
  unreadable: string[];
}

/** What lies where, and what of it may go. */
export interface Survey {
  stores: StoreUse[];
  objects: ObjectUse[];
  places: PlaceUse[];
  retention: Retention;
  /** When garbage was last collected. */
  gcAt?: string;
  /** What the rules of retention would take away right now. */
  expiring: Expiry[];
  excesses: Excess[];
}

/** What the fleet stores, how long it is kept, and taking away what is not needed any more. */
export class Storage {
  readonly settings: RetentionSettings;
  readonly #parts: StorageParts;
  readonly #gc: Bucket<typeof GcRecord>;
  readonly #clock: () => number;

  constructor(parts: StorageParts) {
    this.#parts = parts;
    this.#clock = parts.clock ?? Date.now;
    this.settings = new RetentionSettings(parts.bus);
    this.#gc = new Bucket(parts.bus, parts.bus.assets.buckets.control.name, GcRecord);
  }

  async survey(): Promise<Survey> {
    const { bus } = this.#parts;
    const inventory = await takeInventory(bus);
    const marks = await Marks.open(bus, this.#parts);
    marks.close();
    const { records, holdings, retention, plan } = await this.#plan();
    const last = await this.#gc.get(KEY);
    return {
      stores: await storeUse(this.#parts),
      objects: objectUse(inventory.objects, records, (sha256) => marks.has(sha256)),
      places: placeUse(holdings, retention),
      retention,
      ...(last ? { gcAt: last.value.at } : {}),
      expiring: plan.expiries,
      excesses: plan.excesses,
    };
  }

  /** When garbage was last collected; undefined: never. */
  async lastGc(): Promise<Date | undefined> {
    const last = await this.#gc.get(KEY);
    return last && new Date(last.value.at);
  }

  /**
   * Enforces retention, then removes what nothing refers to. Safe beside running agents, uploads, and others of its kind; whatever
   * ends it in the middle, what was done stays done and the next one goes on.
   * @throws NavvyError invalid_argument (the grace), timeout, nats_unreachable, permission_denied. Where what records refer to
   * is not known, nothing is taken for garbage
   */
  async gc(options: GcOptions = {}): Promise<GcReport> {
    const { isDry = false, graceMs = GC_GRACE_MS, settleMs = SETTLE_MS, signal, onStep = () => {} } = options;
    if (!(graceMs >= MIN_GRACE_MS))
      throw new NavvyError("invalid_argument", "the grace is at least a minute", {
        why: "an upload comes before the record that refers to it: without a grace it would be taken for garbage",
        fix: "--grace 1m",
      });
    const sweeping: SweepOptions = { graceMs, settleMs, now: isDry ? this.#clock() : await this.#begin(), signal };
    const { plan, unreadable } = await this.#plan();
    const expired = isDry ? plan.expiries : await this.#expire(plan, options);
    await onStep("looking for what nothing refers to");
    const report = { isDry, expired, excesses: plan.excesses, unreadable };
    return findGarbage(this.#parts, sweeping, async (garbage, marks) => {
      if (isDry) return { ...report, ...summary(garbage) };
      if (garbage.objects.length > 0) await onStep(`watching for ${settleMs / 1000} s whether anybody wants what nothing refers to`);
      return { ...report, ...summary(await takeAway(this.#parts, { garbage, marks }, sweeping)) };
    });
  }

  /** Tasks that schedules and triggers clone, with what does: they must not go, however old they are. */
  templates(): Promise<Map<string, string>> {
    return templatesOf(this.#parts.bus);
  }

  async #expire({ expiries }: Plan, { onStep, signal }: GcOptions): Promise<Expiry[]> {
    const done: Expiry[] = [];
    if (expiries.length > 0) await onStep?.(`taking away what is past its time or over its place's size: ${expiries.length}`);
    for (const expiry of expiries) {
      signal?.throwIfAborted();
      if (await expire(this.#parts, expiry)) done.push(expiry);
    }
    return done;
  }

  async #plan(): Promise<{ records: TaskRecord[]; holdings: Holding[]; retention: Retention; plan: Plan; unreadable: string[] }> {
    const { bus, tasks } = this.#parts;
    const unreadable: string[] = [];
    const entries = await snapshot(bus, tasks.bucket, { onUnreadable: (key) => void unreadable.push(key) });
    const records = entries.map(({ value }) => value);
    const templates = await this.templates();
    const holdings = (await holdingsOf(this.#parts, records)).map((each) => ({ ...each, kept: each.kept ?? templates.get(each.id) }));
    const retention = await this.settings.get();
    return { records, holdings, retention, plan: planRetention(holdings, retention, this.#clock()), unreadable };
  }

  /** Leaves word that it begins. @returns the time, by whichever of our clock and the server's is behind */
  async #begin(): Promise<number> {
    const word: GcRecord = { type: "navvy.gc.v1", at: new Date().toISOString(), by: this.#parts.bus.actor };
    for (;;) {
      const written = (await this.#gc.modify(KEY, () => word)) ?? (await this.#gc.create(KEY, word));
      if (written !== undefined) break;
    }
    const kv = await this.#gc.handle();
    const stored = await this.#gc.ask("read the time", () => kv.get(KEY));
    const behindMs = Math.min(0, (stored?.created.getTime() ?? 0) - Date.now());
    return this.#clock() + behindMs;
  }
}

function summary(garbage: Garbage) {
  const chunks = garbage.unfinished.reduce((sum, upload) => sum + upload.chunks, 0);
  return {
    objects: garbage.objects.map(({ name, sizeBytes }) => ({ sha256: name, sizeBytes })),
    young: { count: garbage.young.length, bytes: garbage.young.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) },
    uploads: { count: garbage.unfinished.length, chunks },
    leftovers: garbage.leftovers.reduce((sum, { messages }) => sum + messages, 0),
    markers: garbage.markers.length,
  };
}
