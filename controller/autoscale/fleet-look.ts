import type { Navvy } from "../../broker/index.js";
import { type Beat, needsOfLane, type TaskHead } from "../../protocol/index.js";
import { patiently } from "../patience.js";
import type { AutoscaleConfig } from "./definition.js";
import type { AgentLook, Look } from "./plan.js";

interface Watching {
  close(): void;
}

/** A beat that is older says nothing any more. */
const STALE_MS = 15_000;

/** Follows a queue and the agents' beats, and says on asking how they stand. */
export class FleetWatch {
  readonly #navvy: Navvy;
  readonly #config: AutoscaleConfig;
  readonly #stop = new AbortController();
  readonly #queued = new Map<string, TaskHead>();
  readonly #beats = new Map<string, { beat: Beat; heardMs: number; idleSinceMs?: number | undefined }>();
  #watch: Watching | undefined;

  private constructor(navvy: Navvy, config: AutoscaleConfig) {
    this.#navvy = navvy;
    this.#config = config;
  }

  static async open(navvy: Navvy, config: AutoscaleConfig): Promise<FleetWatch> {
    const watch = new FleetWatch(navvy, config);
    void watch.#hear();
    watch.#watch = await patiently(() =>
      navvy.tasks.watchHeads({ onTask: (head) => watch.#see(head), onGone: (id) => void watch.#queued.delete(id) }),
    );
    return watch;
  }

  close(): void {
    this.#stop.abort();
    this.#watch?.close();
  }

  async look(): Promise<Look> {
    const nowMs = Date.now();
    const [views, queue] = await patiently(() =>
      Promise.all([this.#navvy.fleet.agents(), this.#navvy.queues.bucket.get(this.#config.queue)]),
    );
    // What a queue that is paused holds back no machine could run.
    const waiting = [...(queue?.value.paused ? [] : this.#queued.values())]
      .filter((head) => nowMs - waitsSince(head) >= this.#config.waiting)
      .sort((a, b) => waitsSince(a) - waitsSince(b))
      .flatMap(({ shape }) => {
        const needs = needsOfLane(queue?.value.lanes.find((lane) => lane.shape === shape) ?? { shape });
        return needs ? [needs] : [];
      });
    const agents = views.map(({ record, isUp }): AgentLook => ({ record, isUp, ...this.#standing(record.name, record.session, nowMs) }));
    return { nowMs, waiting, agents };
  }

  #standing(name: string, session: string, nowMs: number): Pick<AgentLook, "free" | "idleSinceMs" | "isDraining"> {
    const heard = this.#beats.get(name);
    if (!heard || heard.beat.session !== session || nowMs - heard.heardMs > STALE_MS) return { free: 0, isDraining: false };
    const { state, slots } = heard.beat;
    const isTaking = state === "idle" || state === "busy";
    return {
      free: isTaking ? slots.total - slots.used : 0,
      idleSinceMs: heard.idleSinceMs,
      isDraining: state === "draining" || state === "stopping",
    };
  }

  #see(head: TaskHead): void {
    // One that is parked waits for other tasks, not for a slot.
    if (head.status === "queued" && head.parked === undefined && head.queue === this.#config.queue) this.#queued.set(head.id, head);
    else this.#queued.delete(head.id);
  }

  async #hear(): Promise<void> {
    for await (const beat of this.#navvy.fleet.beats({ signal: this.#stop.signal, onUnreadable: () => undefined })) {
      const before = this.#beats.get(beat.agent);
      const isIdle = beat.running.length === 0;
      const idleSinceMs = isIdle ? (before?.beat.session === beat.session ? (before.idleSinceMs ?? Date.now()) : Date.now()) : undefined;
      this.#beats.set(beat.agent, { beat, heardMs: Date.now(), idleSinceMs });
    }
  }
}

/** One that is delayed waits from when it is due. */
function waitsSince({ enqueuedAt = "", notBefore = "" }: TaskHead): number {
  return Date.parse(notBefore > enqueuedAt ? notBefore : enqueuedAt) || 0;
}
