import { KEPT_KINDS, type Keep, type KeptKind, type Retention } from "../../protocol/index.js";

/** What one task holds, by the name of each piece: content that several tasks share counts once in a place. */
export interface Holding {
  id: string;
  name: string;
  project: string;
  queue?: string | undefined;
  /** Absent: it has not ended. */
  endedAt?: string | undefined;
  /** Why nothing of it is ever removed. */
  kept?: string | undefined;
  pieces: Record<Exclude<KeptKind, "tasks">, Map<string, number>>;
}

/** One thing that goes, and the rule that says so. */
export interface Expiry {
  id: string;
  name: string;
  kind: KeptKind;
  bytes: number;
  why: string;
}

/** A place whose rules leave it over its limit: all else there is kept for another reason. */
export interface Excess {
  place: string;
  kind: KeptKind;
  bytes: number;
  limit: number;
}

export interface Plan {
  expiries: Expiry[];
  excesses: Excess[];
}

/**
 * What retention takes away. Ages first: the project's rule, else the queue's, else the fleet's. Then sizes, each for all that
 * stands in its place: the oldest of what has ended goes until the rest fits. Pure.
 */
export function planRetention(holdings: Holding[], retention: Retention, now: number): Plan {
  const removable = holdings
    .filter((holding) => holding.kept === undefined && holding.endedAt !== undefined)
    .sort((a, b) => (a.endedAt ?? "").localeCompare(b.endedAt ?? "") || a.id.localeCompare(b.id));
  const expiries = new Map<string, Expiry>();
  const expire = (holding: Holding, kind: KeptKind, why: string) => {
    const bytes = kind === "tasks" ? bytesOf(holding) : sum(holding.pieces[kind]);
    if (kind === "tasks" || holding.pieces[kind].size > 0)
      expiries.set(keyOf(holding, kind), { id: holding.id, name: holding.name, kind, bytes, why });
  };
  for (const holding of removable) {
    for (const kind of KEPT_KINDS) {
      const rule = ageRule(holding, retention, kind);
      if (rule && now - Date.parse(holding.endedAt ?? "") > rule.ageMs)
        expire(holding, kind, `${rule.place}: kept for ${days(rule.ageMs)}`);
    }
  }
  const excesses: Excess[] = [];
  const isGone = (holding: Holding, kind: KeptKind) => expiries.has(keyOf(holding, kind)) || expiries.has(keyOf(holding, "tasks"));
  for (const { place, kind, limit } of sizeRules(retention)) {
    const isThere = (holding: Holding) => place.holds(holding) && !isGone(holding, kind) && holding.pieces[kind].size > 0;
    const standing = new Standing(holdings.filter(isThere), kind);
    for (const holding of removable.filter(isThere)) {
      if (standing.bytes <= limit) break;
      standing.remove(holding);
      expire(holding, kind, `${place.name}: more than ${limit} bytes`);
    }
    if (standing.bytes > limit) excesses.push({ place: place.name, kind, bytes: standing.bytes, limit });
  }
  // A record that goes takes all the rest with it.
  const plan = [...expiries.values()].filter(({ id, kind }) => kind === "tasks" || !expiries.has(`${id}.tasks`));
  return { expiries: plan, excesses };
}

const SIZED = ["logs", "metrics", "artifacts"] as const;

/** The rule of age that holds for a task; undefined: for ever. */
function ageRule({ project, queue }: Holding, retention: Retention, kind: KeptKind): { ageMs: number; place: string } | undefined {
  const candidates: [string, Keep | undefined][] = [
    [`project ${project}`, retention.projects[project]],
    [`queue ${queue}`, queue === undefined ? undefined : retention.queues[queue]],
    ["fleet", retention.default],
  ];
  for (const [place, keep] of candidates) {
    const ageMs = keep?.[kind]?.ageMs;
    if (ageMs !== undefined) return ageMs === 0 ? undefined : { ageMs, place };
  }
  return undefined;
}

interface RuledPlace {
  name: string;
  keep: Keep;
  holds: (holding: Holding) => boolean;
}

/** Every limit of size, in the order in which they are enforced. */
function sizeRules(retention: Retention): { place: RuledPlace; kind: (typeof SIZED)[number]; limit: number }[] {
  return placesOf(retention).flatMap((place) =>
    SIZED.flatMap((kind) => {
      const limit = place.keep[kind]?.bytes ?? 0;
      return limit > 0 ? [{ place, kind, limit }] : [];
    }),
  );
}

function placesOf(retention: Retention): RuledPlace[] {
  return [
    ...Object.entries(retention.projects).map(([name, keep]) => ({
      name: `project ${name}`,
      keep,
      holds: (h: Holding) => h.project === name,
    })),
    ...Object.entries(retention.queues).map(([name, keep]) => ({ name: `queue ${name}`, keep, holds: (h: Holding) => h.queue === name })),
    { name: "fleet", keep: retention.default, holds: () => true },
  ];
}

/** How much stands in a place; a piece that several hold goes with the last of them. */
class Standing {
  readonly #kind: (typeof SIZED)[number];
  readonly #holders = new Map<string, number>();
  bytes = 0;

  constructor(holdings: Holding[], kind: (typeof SIZED)[number]) {
    this.#kind = kind;
    for (const holding of holdings)
      for (const [name, bytes] of holding.pieces[kind]) {
        const holders = this.#holders.get(name) ?? 0;
        this.#holders.set(name, holders + 1);
        if (holders === 0) this.bytes += bytes;
      }
  }

  remove(holding: Holding): void {
    for (const [name, bytes] of holding.pieces[this.#kind]) {
      const holders = (this.#holders.get(name) ?? 1) - 1;
      this.#holders.set(name, holders);
      if (holders === 0) this.bytes -= bytes;
    }
  }
}

const keyOf = ({ id }: Holding, kind: KeptKind) => `${id}.${kind}`;
const sum = (pieces: Map<string, number>) => [...pieces.values()].reduce((total, bytes) => total + bytes, 0);
const bytesOf = ({ pieces }: Holding) => SIZED.reduce((total, kind) => total + sum(pieces[kind]), 0);
const days = (ms: number) => (ms >= 86_400_000 ? `${Math.round(ms / 86_400_000)} d` : `${Math.round(ms / 60_000)} min`);
