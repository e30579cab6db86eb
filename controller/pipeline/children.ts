import type { Navvy } from "../../broker/index.js";
import { isEnded, NavvyError, type TaskRecord } from "../../protocol/index.js";

/** Bells may be lost with a connection: so often everyone who is waited for is looked at all the same. */
const LOOK_EVERY_MS = 15_000;

interface Waiter {
  resolve: (record: TaskRecord) => void;
  reject: (error: unknown) => void;
  onChange: ((record: TaskRecord) => void) | undefined;
  isLooking: boolean;
  /** Rung again during a look. */
  isDue: boolean;
}

/** The children of a controller that it waits for: one subscription, and a read for each that has changed. */
export class Children {
  readonly #navvy: Navvy;
  readonly #waiters = new Map<string, Waiter>();
  readonly #bell: { close(): void };
  readonly #offReconnect: () => void;
  readonly #timer: NodeJS.Timeout;

  constructor(navvy: Navvy, parent: string) {
    this.#navvy = navvy;
    this.#bell = navvy.tasks.onChild(parent, (id) => this.#look(id));
    this.#offReconnect = navvy.bus.onReconnect(() => this.#lookAtAll());
    this.#timer = setInterval(() => this.#lookAtAll(), LOOK_EVERY_MS).unref();
  }

  /** Ids of those that are waited for. */
  get awaited(): string[] {
    return [...this.#waiters.keys()];
  }

  /**
   * Resolves with the record once it has ended. `onChange` gets what stands on the way.
   * @throws NavvyError not_found: it was deleted
   */
  ended(id: string, onChange?: (record: TaskRecord) => void): Promise<TaskRecord> {
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, { resolve, reject, onChange, isLooking: false, isDue: false });
      this.#look(id);
    });
  }

  /** It is waited for no more. */
  forget(id: string): void {
    this.#waiters.delete(id);
  }

  /** Nobody is told any more. */
  close(): void {
    this.#bell.close();
    this.#offReconnect();
    clearInterval(this.#timer);
    this.#waiters.clear();
  }

  #lookAtAll(): void {
    for (const id of this.#waiters.keys()) this.#look(id);
  }

  #look(id: string): void {
    const waiter = this.#waiters.get(id);
    if (!waiter) return;
    if (waiter.isLooking) waiter.isDue = true;
    else void this.#read(id, waiter);
  }

  async #read(id: string, waiter: Waiter): Promise<void> {
    waiter.isLooking = true;
    do {
      waiter.isDue = false;
      try {
        const entry = await this.#navvy.tasks.bucket.get(id);
        this.#tell(id, waiter, entry?.value);
      } catch {
        // The server is away: a reconnect or the next round looks again.
      }
    } while (waiter.isDue && this.#waiters.get(id) === waiter);
    waiter.isLooking = false;
  }

  #tell(id: string, waiter: Waiter, record: TaskRecord | undefined): void {
    if (this.#waiters.get(id) !== waiter) return;
    if (record && !isEnded(record.status)) return waiter.onChange?.(record);
    this.#waiters.delete(id);
    if (record) waiter.resolve(record);
    else waiter.reject(new NavvyError("not_found", `task ${id} was deleted while its controller waited for it`));
  }
}
