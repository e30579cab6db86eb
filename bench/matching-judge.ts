import type { Needs } from "../protocol/index.js";
import { fits, occupy, type Room, roomOf, type SimAgent, type SimTask } from "./matching-plan.js";

interface Known extends SimTask {
  number: number;
  kind: Kind;
  waitsSince: number;
}

/** Tasks that need the same wait in one line, and are tried on the agents together. */
interface Kind {
  needs: Needs;
  /** Oldest first. */
  waiting: Set<Known>;
  /** By agent: since when it has room for one of these. */
  fitsSince: Map<string, number>;
}

const LOOK_EVERY_MS = 10;

/**
 * Keeps its own books on every agent and every task, and measures how long an agent stands idle while something waits that fits it.
 * A task that is on its way to an agent counts as waiting until its claim is made.
 */
export class Judge {
  ended = 0;
  readonly #rooms: Map<string, Room>;
  readonly #tasks = new Map<string, Known>();
  readonly #kinds = new Map<string, Kind>();
  /** Also those that ended. */
  readonly #taken = new Set<string>();
  readonly #running = new Map<string, () => void>();
  /** When each agent last took something. */
  readonly #tookAt = new Map<string, number>();
  /** For each task, when it was taken: how long it had waited beside one and the same agent that had room for it and took nothing. */
  readonly #idles: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  #tooMuch = 0;
  #overtaken = 0;

  constructor(agents: SimAgent[]) {
    this.#rooms = new Map(agents.map((agent) => [agent.name, roomOf(agent)]));
  }

  /** From now on time counts. */
  start(): void {
    for (const name of this.#rooms.keys()) this.#tookAt.set(name, performance.now());
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  knows(id: string, task: SimTask): void {
    const key = JSON.stringify(task.needs);
    const kind = this.#kinds.get(key) ?? { needs: task.needs, waiting: new Set(), fitsSince: new Map() };
    this.#kinds.set(key, kind);
    this.#tasks.set(id, { ...task, kind, waitsSince: 0, number: this.#tasks.size });
  }

  waits(id: string): void {
    const task = this.#tasks.get(id);
    if (!task || this.#taken.has(id)) return;
    task.waitsSince = performance.now();
    task.kind.waiting.add(task);
  }

  /** An agent has claimed it. @returns for how long it is to hold it */
  takes(agent: SimAgent, id: string): number {
    const [task, room] = [this.#tasks.get(id), this.#rooms.get(agent.name)];
    if (!task || !room) throw new Error(`nobody knows task ${id} or agent ${agent.name}`);
    if (!fits(task.needs, room)) this.#tooMuch++;
    if ([...this.#kinds.values()].some((each) => isOlder(each, task) && fits(each.needs, room))) this.#overtaken++;
    this.#idles.push(this.#idleFor(task));
    this.#tookAt.set(agent.name, performance.now());
    task.kind.waiting.delete(task);
    this.#taken.add(id);
    this.#running.set(id, occupy(task.needs, room));
    return task.forMs;
  }

  ends(id: string): void {
    this.#running.get(id)?.();
    this.#running.delete(id);
  }

  async allEnded(count: number): Promise<void> {
    const until = performance.now() + 300_000;
    while (this.ended < count && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 5));
    clearInterval(this.#timer);
  }

  verdict(): { tooMuch: number; overtaken: number; idles: number[] } {
    return { tooMuch: this.#tooMuch, overtaken: this.#overtaken, idles: this.#idles };
  }

  #idleFor({ kind, waitsSince }: Known): number {
    const now = performance.now();
    const since = [...kind.fitsSince].map(([agent, fits]) => Math.max(fits, waitsSince, this.#tookAt.get(agent) ?? 0));
    return now - Math.min(now, ...since);
  }

  /** Every kind that waits on every agent. */
  #look(): void {
    const now = performance.now();
    for (const { needs, waiting, fitsSince } of this.#kinds.values()) {
      if (waiting.size === 0) fitsSince.clear();
      else for (const [name, room] of this.#rooms) note(fitsSince, name, fits(needs, room) ? now : undefined);
    }
  }
}

function note(since: Map<string, number>, agent: string, now: number | undefined): void {
  if (now === undefined) since.delete(agent);
  else if (!since.has(agent)) since.set(agent, now);
}

function isOlder({ waiting }: Kind, task: Known): boolean {
  const [oldest] = waiting;
  return oldest !== undefined && oldest.number < task.number;
}
