import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import { type Delivered, mayMatch, type Navvy, type SeenRecord, type Triggered, type Watch } from "../../broker/index.js";
import { isNavvyError, type Trigger } from "../../protocol/index.js";

/** Records that are looked at whole at the same time. */
const AT_ONCE = 16;
const RETRY_MS = 2_000;
/** How far all was looked at is written down so often: who leads next looks at what came later once more. */
const SAVE_EVERY_MS = 60_000;
/** Beyond it what is done is found by its task again. */
const MOST_DONE = 50_000;

export interface TripwiresParts {
  navvy: Pick<Navvy, "triggers">;
  log: Logger;
}

interface Armed {
  trigger: Trigger;
  /** All records up to there were looked at, and as far as that is written down. */
  seenTo: number;
  /** All that was written up to then was looked at. */
  seenAt?: string | undefined;
  savedTo: number;
  /** Keys of what is dealt with. */
  done: Set<string>;
  /** Whether the watch on the records began after it was armed: what an earlier one had given says nothing about it. */
  isCovered: boolean;
}

/**
 * Fires the triggers while this agent leads, by a watch on the tasks' records: each version says by itself what there is to fire on, so what
 * happened while nobody led is found in the records as they are. Without triggers there is no such watch.
 */
export class Tripwires {
  readonly #parts: TripwiresParts;
  readonly #armed = new Map<string, Armed>();
  /** What may be something to fire on, the latest version of each. */
  readonly #pending = new Map<string, SeenRecord>();
  readonly #stop = new AbortController();
  #triggers: Watch | undefined;
  #records: Watch | undefined;
  #opening: Promise<void> = Promise.resolve();
  #delivered = 0;
  #upTo: string | undefined;
  #isReady = false;
  #isDraining = false;
  #saving: NodeJS.Timeout | undefined;

  private constructor(parts: TripwiresParts) {
    this.#parts = parts;
  }

  static async open(parts: TripwiresParts): Promise<Tripwires> {
    const wires = new Tripwires(parts);
    wires.#triggers = await parts.navvy.triggers.watch({
      onPage: (name, page) => wires.#take(name, page),
      onReady: () => wires.#ready(),
      onUnreadable: (name, error) => parts.log.warn({ err: error, trigger: name }, "a trigger can not be read: it is left alone"),
    });
    return wires;
  }

  close(): void {
    this.#stop.abort();
    this.#triggers?.close();
    this.#records?.close();
    clearTimeout(this.#saving);
  }

  #take(name: string, page: Triggered | undefined): void {
    if (page === undefined || page.trigger.paused) {
      if (this.#armed.delete(name) && this.#armed.size === 0 && this.#isReady) this.#watchRecords();
      return;
    }
    const { trigger, state } = page;
    const before = this.#armed.get(name);
    if (before?.trigger.id === trigger.id && before.trigger.since === trigger.since) {
      before.seenAt = later(before.seenAt, state.seenAt); // only its state has changed, or comes now
      return;
    }
    const seenTo = Math.max(state.seenTo, trigger.sinceRevision);
    this.#armed.set(name, { trigger, seenTo, seenAt: state.seenAt, savedTo: seenTo, done: new Set(), isCovered: false });
    if (this.#isReady) this.#watchRecords();
  }

  #ready(): void {
    if (!this.#isReady) this.#watchRecords();
    this.#isReady = true;
  }

  /** Made anew for each trigger that is new: what changed since it was made may have come already. */
  #watchRecords(): void {
    this.#opening = this.#opening.then(async () => {
      this.#records?.close();
      this.#records = undefined;
      if (this.#armed.size === 0 || this.#stop.signal.aborted) return;
      this.#delivered = 0;
      this.#upTo = undefined;
      for (const armed of this.#armed.values()) armed.isCovered = true;
      try {
        this.#records = await this.#parts.navvy.triggers.watchRecords({
          seenTo: () => this.#floor(),
          onRecord: (delivered, record) => this.#look(delivered, record),
        });
      } catch {
        if (await this.#pause()) this.#watchRecords(); // the server is away
      }
      if (this.#stop.signal.aborted) this.#records?.close();
    });
  }

  /** What all triggers have seen. */
  #floor(): number {
    let floor = Number.POSITIVE_INFINITY;
    for (const { seenTo } of this.#armed.values()) floor = Math.min(floor, seenTo);
    return floor;
  }

  #look({ revision, upTo }: Delivered, record: SeenRecord | undefined): void {
    this.#delivered = Math.max(this.#delivered, revision);
    this.#upTo = upTo ?? this.#upTo;
    if (record && this.#whoMayFire(record).length > 0) {
      this.#pending.delete(record.id);
      this.#pending.set(record.id, record);
      if (!this.#isDraining) void this.#drain();
    } else if (!this.#isDraining) this.#allSeen();
  }

  #whoMayFire({ revision, head }: SeenRecord): Armed[] {
    return [...this.#armed.values()].filter(({ trigger, seenTo, done }) => seenTo < revision && mayMatch(trigger, head, done));
  }

  async #drain(): Promise<void> {
    this.#isDraining = true;
    while (this.#pending.size > 0 && !this.#stop.signal.aborted) {
      const batch = [...this.#pending.values()].slice(0, AT_ONCE);
      for (const { id } of batch) this.#pending.delete(id);
      const isDone = await Promise.all(batch.map((record) => this.#consider(record)));
      if (isDone.includes(false)) await this.#pause();
    }
    this.#isDraining = false;
    this.#allSeen();
  }

  /** @returns false when it has to be tried again */
  async #consider(record: SeenRecord): Promise<boolean> {
    for (const armed of this.#whoMayFire(record)) {
      if (await this.#fire(armed, record)) continue;
      if (!this.#pending.has(record.id)) this.#pending.set(record.id, record);
      return false;
    }
    return true;
  }

  /** @returns false when it could not be done just now */
  async #fire({ trigger, done, seenAt }: Armed, record: SeenRecord): Promise<boolean> {
    const { navvy, log } = this.#parts;
    try {
      if (done.size > MOST_DONE) done.clear();
      await navvy.triggers.fireOn({ trigger, record: record.read(), seenAt }, done);
    } catch (error) {
      if (this.#stop.signal.aborted) return true;
      if (isNavvyError(error) && error.retryable) return false;
      log.warn({ err: error, trigger: trigger.name, task: record.id }, "a trigger could not judge a task: it is left out");
    }
    return true;
  }

  /** Nothing is pending, so all that was delivered was looked at. */
  #allSeen(): void {
    if (this.#stop.signal.aborted || this.#pending.size > 0) return;
    for (const armed of this.#armed.values()) {
      if (!armed.isCovered) continue;
      armed.seenTo = Math.max(armed.seenTo, this.#delivered);
      armed.seenAt = later(armed.seenAt, this.#upTo);
    }
    this.#saving ??= setTimeout(() => void this.#save(), SAVE_EVERY_MS).unref();
  }

  async #save(): Promise<void> {
    this.#saving = undefined;
    for (const armed of this.#armed.values()) {
      const { trigger, seenTo, seenAt, savedTo } = armed;
      if (seenTo <= savedTo) continue;
      const isSaved = await this.#parts.navvy.triggers.noteSeen(trigger, { seenTo, seenAt }).then(
        () => true,
        () => false, // the server is away: later
      );
      if (isSaved) armed.savedTo = seenTo;
    }
  }

  /** @returns false when it was cut short */
  #pause(): Promise<boolean> {
    return delay(RETRY_MS, true, { signal: this.#stop.signal, ref: false }).catch(() => false);
  }
}

function later(a: string | undefined, b: string | undefined): string | undefined {
  return a === undefined || (b !== undefined && b > a) ? b : a;
}
