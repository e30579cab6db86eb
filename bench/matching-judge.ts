import type { Needs } from "../protocol/index.js";
import { fits, occupy, type Room, roomOf, type SimAgent, type SimTask } from "./matching-plan.js";

interface Known extends SimTask {
  number: number;
  kind: Kind;
}

/** Tasks that need the same wait in one line, and are tried on the agents together. */
interface Kind {
  needs: Needs;
  /** Oldest first. */
  waiting: Set<Known>;
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
  /** Since when an agent could run something that waits, and has taken nothing. */
  readonly #idleSince = new Map<string, number>();
  /** How long each such stretch was when the agent took something. */
  readonly #idles: number[] = [];
  #timer: NodeJS.Timeout | undefined;
  #tooMuch = 0;
  #overtaken = 0;

  constructor(agents: SimAgent[]) {
    this.#rooms = new Map(agents.map((agent) => [agent.name, roomOf(agent)]));
  }

  /** From now on time counts. */
  start(): void {
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  knows(id: string, task: SimTask): void {
    const key = JSON.stringify(task.needs);
    const kind = this.#kinds.get(key) ?? { needs: task.needs, waiting: new Set() };
    this.#kinds.set(key, kind);
    this.#tasks.set(id, { ...task, kind, number: this.#tasks.size });
  }

  waits(id: string): void {
    const task = this.#tasks.get(id);
    if (task && !this.#taken.has(id)) task.kind.waiting.add(task);
  }

  /** An agent has claimed it. @returns for how long it is to hold it */
  takes(agent: SimAgent, id: string): number {
    const [task, room] = [this.#tasks.get(id), this.#rooms.get(agent.name)];
    if (!task || !room) throw new Error(`nobody knows task ${id} or agent ${agent.name}`);
    if (!fits(task.needs, room)) this.#tooMuch++;
    if ([...this.#kinds.values()].some((each) => isOlder(each, task) && fits(each.needs, room))) this.#overtaken++;
    this.#idles.push(performance.now() - (this.#idleSince.get(agent.name) ?? performance.now()));
    this.#idleSince.delete(agent.name);
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

  /** Every waiting task on every agent. */
  #look(): void {
    const now = performance.now();
    const waiting = [...this.#kinds.values()].filter((kind) => kind.waiting.size > 0);
    for (const [name, room] of this.#rooms) {
      if (!waiting.some((kind) => fits(kind.needs, room))) this.#idleSince.delete(name);
      else if (!this.#idleSince.has(name)) this.#idleSince.set(name, now);
    }
  }
}

function isOlder({ waiting }: Kind, task: Known): boolean {
  const [oldest] = waiting;
  return oldest !== undefined && oldest.number < task.number;
}
