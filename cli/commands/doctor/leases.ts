import { Bucket, type Navvy, sessionsBucket, Watch } from "../../../broker/index.js";
import { LeaderRecord, type SessionRecord } from "../../../protocol/index.js";

/** A lease as it was watched for a moment. */
export interface Lease<T> {
  record: T;
  /** Since its last renewal, by the server's stamp or, once it moved, by what was seen. */
  ageMs: number;
  hasMoved: boolean;
  /** Not renewed for longer than it lasts. */
  isSilent: boolean;
}

export interface Leases {
  sessions: Lease<SessionRecord>[];
  leader?: Lease<LeaderRecord>;
}

/** What is well renewed is older than half its lease at no time: only then is it worth a longer look. */
const SUSPECT = 0.5;
const LOOK_MS = 300;
/** Sessions are renewed every 4/15 of their lease, a leader at least as often. */
const RENEWAL = 4 / 15;
const LONGEST_LOOK_MS = 6_000;
const STEP_MS = 50;

/**
 * Watches every lease for a moment: whether it moves says more than any clock. Longer than a moment only when one looks late,
 * or when two sessions have one agent's name.
 */
export async function watchLeases(navvy: Navvy): Promise<Leases> {
  const control = new Bucket(navvy.bus, navvy.bus.assets.buckets.control.name, LeaderRecord);
  const [sessions, leaders] = await Promise.all([
    Sightings.open<SessionRecord>(navvy, sessionsBucket(navvy.bus) as unknown as Bucket<never>),
    Sightings.open<LeaderRecord>(navvy, control as unknown as Bucket<never>, "leader"),
  ]);
  try {
    const began = performance.now();
    const isUnsure = () => sessions.suspects() + leaders.suspects() > 0;
    const lookMs = () => (isUnsure() ? Math.min(LONGEST_LOOK_MS, Math.max(sessions.renewalMs(), leaders.renewalMs())) + LOOK_MS : LOOK_MS);
    while (performance.now() - began < lookMs()) await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    const [leader] = leaders.all();
    return { sessions: sessions.all(), ...(leader ? { leader } : {}) };
  } finally {
    sessions.close();
    leaders.close();
  }
}

interface Sighting<T> {
  record: T;
  revision: number;
  /** By this machine's clock, as the server stamped the write. */
  writtenAtMs: number;
  movedAt?: number;
}

/** The leases of one bucket, kept current by a watch. */
class Sightings<T extends { agent: string; leaseMs: number }> {
  readonly #seen = new Map<string, Sighting<T>>();
  #watch: Watch | undefined;

  static async open<T extends { agent: string; leaseMs: number }>(navvy: Navvy, bucket: Bucket<never>, keys = ">"): Promise<Sightings<T>> {
    const sightings = new Sightings<T>();
    let ready = () => {};
    const isReady = new Promise<void>((resolve) => (ready = resolve));
    sightings.#watch = await Watch.open(navvy.bus, bucket, {
      keys,
      onReady: () => ready(),
      onEntry: (raw) => {
        try {
          const entry = bucket.read(raw) as { value: T; revision: number } | undefined;
          if (entry) sightings.#take(raw.key, entry, raw.created.getTime());
          else sightings.#seen.delete(raw.key);
        } catch {
          // of a newer navvy: not ours to judge
        }
      },
    });
    await isReady;
    return sightings;
  }

  close(): void {
    this.#watch?.close();
  }

  /** Leases that look late, or share their agent's name with another, and have not moved yet. */
  suspects(): number {
    const all = [...this.#seen.values()];
    const isShared = ({ record }: Sighting<T>) => all.filter((each) => each.record.agent === record.agent).length > 1;
    return all.filter(
      (each) => each.movedAt === undefined && (Date.now() - each.writtenAtMs > each.record.leaseMs * SUSPECT || isShared(each)),
    ).length;
  }

  /** The longest time between two renewals of any of them. */
  renewalMs(): number {
    return Math.max(0, ...[...this.#seen.values()].map(({ record }) => record.leaseMs * RENEWAL));
  }

  all(): Lease<T>[] {
    return [...this.#seen.values()].map(({ record, writtenAtMs, movedAt }) => {
      const hasMoved = movedAt !== undefined;
      const ageMs = Math.max(0, hasMoved ? performance.now() - movedAt : Date.now() - writtenAtMs);
      return { record, ageMs, hasMoved, isSilent: !hasMoved && ageMs > record.leaseMs };
    });
  }

  #take(key: string, entry: { value: T; revision: number }, writtenAtMs: number): void {
    const before = this.#seen.get(key);
    const hasMoved = before !== undefined && before.revision !== entry.revision;
    const movedAt = hasMoved ? performance.now() : before?.movedAt;
    this.#seen.set(key, { record: entry.value, revision: entry.revision, writtenAtMs, ...(movedAt === undefined ? {} : { movedAt }) });
  }
}
