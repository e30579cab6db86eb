import type { KvEntry } from "nats";
import type { z } from "zod";
import { Bucket } from "./bucket.js";
import type { Bus } from "./bus.js";
import { snapshot } from "./snapshot.js";
import { Watch } from "./watch.js";

/** What a book holds of each name, and how the two are put together. */
export interface BookSpec<D, S, P> {
  bucket: string;
  definition: z.ZodType<D>;
  state: z.ZodType<S>;
  /** With the state that is there; undefined: none yet, or that of an earlier definition of the same name. */
  page: (definition: D, state: S | undefined) => P;
}

export interface BookHandlers<P> {
  /** With each change of either entry; undefined: it was deleted. */
  onPage: (name: string, page: P | undefined) => void;
  /** All were given; again after each reconnect. */
  onReady?: () => void;
  /** Of a newer navvy, or damaged: it is left alone, and keeps none of the others back. */
  onUnreadable?: (name: string, error: unknown) => void;
}

const STATE = ".state";

/**
 * A bucket with two entries for each name: `<name>`, what people want, and `<name>.state`, what has come of it. So a person who changes the
 * one and a leader that writes the other never stand in each other's way. Names hold no dots.
 */
export class Book<D extends { name: string }, S, P> {
  readonly definitions: Bucket<z.ZodType<D>>;
  readonly #states: Bucket<z.ZodType<S>>;
  readonly #bus: Bus;
  readonly #spec: BookSpec<D, S, P>;

  constructor(bus: Bus, spec: BookSpec<D, S, P>) {
    this.#bus = bus;
    this.#spec = spec;
    this.definitions = new Bucket(bus, spec.bucket, spec.definition);
    this.#states = new Bucket(bus, spec.bucket, spec.state);
  }

  /** Undefined: there is none of that name. `revision` is the state's, 0 for none. */
  async get(name: string): Promise<(P & { revision: number }) | undefined> {
    const [entry, state] = await Promise.all([this.definitions.get(name), this.#states.get(name + STATE)]);
    return entry && { ...this.#spec.page(entry.value, state?.value), revision: state?.revision ?? 0 };
  }

  /** By name. */
  async list(onUnreadable?: (key: string, error: unknown) => void): Promise<P[]> {
    const told = onUnreadable ? { onUnreadable } : {};
    const entries = await snapshot(this.#bus, this.definitions, { keys: "*", ...told });
    const states = new Map((await snapshot(this.#bus, this.#states, { keys: `*${STATE}`, ...told })).map(({ key, value }) => [key, value]));
    return entries.sort((a, b) => a.key.localeCompare(b.key)).map(({ key, value }) => this.#spec.page(value, states.get(key + STATE)));
  }

  /** By compare-and-set on the revision that was read. @returns false when someone else was first */
  async write(name: string, state: S, revision: number): Promise<boolean> {
    const key = name + STATE;
    const won = revision === 0 ? await this.#states.create(key, state) : await this.#states.update(key, state, revision);
    return won !== undefined;
  }

  async delete(name: string): Promise<void> {
    await this.definitions.delete(name);
    await this.#states.delete(name + STATE);
  }

  watch(handlers: BookHandlers<P>): Promise<Watch> {
    const definitions = new Map<string, D>();
    const states = new Map<string, S>();
    const take = (entry: KvEntry) => {
      const isState = entry.key.endsWith(STATE);
      const name = isState ? entry.key.slice(0, -STATE.length) : entry.key;
      if (isState) put(states, name, this.#states.read(entry)?.value);
      else put(definitions, name, this.definitions.read(entry)?.value);
      const definition = definitions.get(name);
      handlers.onPage(name, definition && this.#spec.page(definition, states.get(name)));
    };
    return Watch.open(this.#bus, this.definitions as unknown as Bucket<never>, {
      keys: ">",
      onReady: handlers.onReady ?? (() => {}),
      onEntry: (entry) => {
        try {
          take(entry);
        } catch (error) {
          handlers.onUnreadable?.(entry.key, error);
        }
      },
    });
  }
}

function put<T>(map: Map<string, T>, key: string, value: T | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
