import { KEPT_KINDS, type Keep, type KeptKind, NavvyError, Retention } from "../../protocol/index.js";
import { Bucket } from "../bucket.js";
import type { Bus } from "../bus.js";

const KEY = "retention";

/** Whose rules: the fleet's, or one project's or queue's. */
export interface Place {
  project?: string | undefined;
  queue?: string | undefined;
}

/** `inherit` takes a rule away, so that what holds around the place holds there too. */
export type KeepChange = { [K in KeptKind]?: Keep[K] | "inherit" | undefined };

/** The rules of how long what is kept, one entry of the control bucket. */
export class RetentionSettings {
  readonly #bus: Bus;
  readonly #bucket: Bucket<typeof Retention>;

  constructor(bus: Bus) {
    this.#bus = bus;
    this.#bucket = new Bucket(bus, bus.assets.buckets.control.name, Retention);
  }

  /** Without an entry everything is kept. */
  async get(): Promise<Retention> {
    return (await this.#bucket.get(KEY))?.value ?? this.#nothing();
  }

  /** @throws NavvyError invalid_argument */
  async set(place: Place, change: KeepChange): Promise<Retention> {
    check(place, change);
    return this.#change((now) => withChange(now, place, change));
  }

  /** How often it is enforced; `undefined`: only when somebody asks. @throws NavvyError invalid_argument */
  async setEvery(everyMs: number | undefined): Promise<Retention> {
    if (everyMs !== undefined && everyMs < MIN_EVERY_MS)
      throw new NavvyError("invalid_argument", "garbage is collected once an hour at most", { fix: "--every 1d" });
    return this.#change(({ everyMs: _before, ...now }) => (everyMs === undefined ? now : { ...now, everyMs }));
  }

  async #change(change: (now: Retention) => Retention): Promise<Retention> {
    const stamped = (now: Retention) => ({ ...change(now), changedAt: new Date().toISOString(), by: this.#bus.actor });
    for (;;) {
      const changed = await this.#bucket.modify(KEY, stamped);
      if (changed) return changed.value;
      const first = stamped(this.#nothing());
      if ((await this.#bucket.create(KEY, first)) !== undefined) return first;
    }
  }

  #nothing(): Retention {
    return { type: "navvy.retention.v1", default: {}, projects: {}, queues: {}, changedAt: new Date(0).toISOString(), by: this.#bus.actor };
  }
}

const MIN_EVERY_MS = 60 * 60_000;

function withChange(now: Retention, { project, queue }: Place, change: KeepChange): Retention {
  const before = project !== undefined ? now.projects[project] : queue !== undefined ? now.queues[queue] : now.default;
  const keep: Keep = { ...before };
  for (const kind of KEPT_KINDS) {
    const wanted = change[kind];
    if (wanted === "inherit") delete keep[kind];
    else if (wanted !== undefined) keep[kind] = { ...keep[kind], ...wanted };
  }
  if (project !== undefined) return { ...now, projects: put(now.projects, project, keep) };
  if (queue !== undefined) return { ...now, queues: put(now.queues, queue, keep) };
  return { ...now, default: keep };
}

/** A place without a rule is not named. */
function put(places: Record<string, Keep>, name: string, keep: Keep): Record<string, Keep> {
  const { [name]: _before, ...rest } = places;
  return Object.keys(keep).length === 0 ? rest : { ...rest, [name]: keep };
}

function check({ project, queue }: Place, change: KeepChange): void {
  if (project !== undefined && queue !== undefined)
    throw new NavvyError("invalid_argument", "a rule is a project's or a queue's, not both's", {
      fix: "leave one of --project and --queue out",
    });
  if (project === "" || queue === "") throw new NavvyError("invalid_argument", "a project and a queue have a name");
  if (Object.values(change).every((each) => each === undefined))
    throw new NavvyError("invalid_argument", "nothing was said to keep", { fix: "navvy storage set --logs 30d --artifacts 90d,50G" });
  if (typeof change.tasks === "object" && change.tasks.bytes !== undefined)
    throw new NavvyError("invalid_argument", "records of tasks are kept for a time, not up to a size", {
      why: "a record is 64 KiB at most; what takes room is its logs, metrics and artifacts",
      fix: "--tasks 365d",
    });
  for (const kind of KEPT_KINDS) {
    const limit = change[kind];
    if (typeof limit === "object" && limit.ageMs !== undefined && limit.ageMs !== 0 && limit.ageMs < MIN_AGE_MS)
      throw new NavvyError("invalid_argument", `${kind} kept for less than a minute after their task's end are of no use to anybody`, {
        fix: `--${kind} 1d, or --${kind} forever`,
      });
  }
}

const MIN_AGE_MS = 60_000;
