import type { KvEntry } from "nats";
import { Schedule, ScheduleState } from "../../protocol/index.js";
import { Bucket } from "../bucket.js";
import type { Bus } from "../bus.js";
import { snapshot } from "../snapshot.js";
import { Watch } from "../watch.js";
import { freshState } from "./decide.js";

/** A schedule with how it stands. */
export interface Scheduled {
  schedule: Schedule;
  state: ScheduleState;
}

export interface BookHandlers {
  /** With each change of either entry; undefined: it was deleted. */
  onSchedule: (name: string, scheduled: Scheduled | undefined) => void;
  onReady?: () => void;
  /** Of a newer navvy, or damaged: it is left alone, and keeps none of the others back. */
  onUnreadable?: (name: string, error: unknown) => void;
}

const STATE = ".state";

/** The two entries of each schedule: what people want, and what has come of it. Names hold no dots. */
export class ScheduleBook {
  readonly schedules: Bucket<typeof Schedule>;
  readonly #states: Bucket<typeof ScheduleState>;
  readonly #bus: Bus;

  constructor(bus: Bus) {
    const { name } = bus.assets.buckets.schedules;
    this.#bus = bus;
    this.schedules = new Bucket(bus, name, Schedule);
    this.#states = new Bucket(bus, name, ScheduleState);
  }

  /** Undefined: there is none of that name. */
  async get(name: string): Promise<(Scheduled & { revision: number }) | undefined> {
    const [entry, state] = await Promise.all([this.schedules.get(name), this.#states.get(name + STATE)]);
    if (!entry) return undefined;
    return { schedule: entry.value, state: ownState(entry.value, state?.value), revision: state?.revision ?? 0 };
  }

  async list(onUnreadable?: (key: string, error: unknown) => void): Promise<Scheduled[]> {
    const told = onUnreadable ? { onUnreadable } : {};
    const entries = await snapshot(this.#bus, this.schedules, { keys: "*", ...told });
    const states = new Map((await snapshot(this.#bus, this.#states, { keys: `*${STATE}`, ...told })).map(({ key, value }) => [key, value]));
    return entries
      .map(({ value: schedule }) => ({ schedule, state: ownState(schedule, states.get(schedule.name + STATE)) }))
      .sort((a, b) => a.schedule.name.localeCompare(b.schedule.name));
  }

  /** By compare-and-set on the revision that was read, 0 for none. @returns false when someone else was first */
  async write(name: string, state: ScheduleState, revision: number): Promise<boolean> {
    const key = name + STATE;
    const won = revision === 0 ? await this.#states.create(key, state) : await this.#states.update(key, state, revision);
    return won !== undefined;
  }

  async delete(name: string): Promise<void> {
    await this.schedules.delete(name);
    await this.#states.delete(name + STATE);
  }

  watch(handlers: BookHandlers): Promise<Watch> {
    const schedules = new Map<string, Schedule>();
    const states = new Map<string, ScheduleState>();
    const take = (entry: KvEntry) => {
      const isState = entry.key.endsWith(STATE);
      const name = isState ? entry.key.slice(0, -STATE.length) : entry.key;
      if (isState) put(states, name, this.#states.read(entry)?.value);
      else put(schedules, name, this.schedules.read(entry)?.value);
      const schedule = schedules.get(name);
      handlers.onSchedule(name, schedule && { schedule, state: ownState(schedule, states.get(name)) });
    };
    return Watch.open(this.#bus, this.schedules as unknown as Bucket<never>, {
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

/** What an earlier schedule of the same name left behind is not this one's. */
function ownState(schedule: Schedule, state: ScheduleState | undefined): ScheduleState {
  return state?.schedule === schedule.id ? state : freshState(schedule);
}
