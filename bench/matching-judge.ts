import type { Needs } from "../protocol/index.js";
import { fits, occupy, type Room, roomOf, type SimAgent, type SimTask } from "./matching-plan.js";

interface Known extends SimTask {
  number: number;
  kind: Kind;
  /** Since when it waits while some agent could run it, in one stretch. */
  fitsSince?: number | undefined;
}

/** Tasks that need the same wait in one line, and are tried on the agents together. */
interface Kind {
  needs: Needs;
  /** Oldest first. */
  waiting: Set<Known>;
}

const LOOK_EVERY_MS = 10;

/** Keeps its own books on every agent and every task, and sees to it that none waits for long while someone has room for it. */
export class Judge {
  ended = 0;
  readonly #rooms: Map<string, Room>;
  readonly #tasks = new Map<string, Known>();
  readonly #kinds = new Map<string, Kind>();
  /** Also those that ended. */
  readonly #taken = new Set<string>();
  readonly #running = new Map<string, () => void>();
  /** For each task: how long it waited although it fitted someone, in its longest stretch. */
  readonly #waits: number[] = [];
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
    this.#waits.push(task.fitsSince === undefined ? 0 : performance.now() - task.fitsSince);
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

  verdict(): { tooMuch: number; overtaken: number; waits: number[] } {
    return { tooMuch: this.#tooMuch, overtaken: this.#overtaken, waits: this.#waits };
  }

  /** Every waiting task on every agent. */
  #look(): void {
    const now = performance.now();
    const open = [...this.#rooms.values()].filter((room) => room.slots > 0);
    for (const { needs, waiting } of this.#kinds.values()) {
      if (waiting.size === 0) continue;
      const isFit = open.some((room) => fits(needs, room));
      for (const task of waiting) task.fitsSince = isFit ? (task.fitsSince ?? now) : undefined;
    }
  }
}

function isOlder({ waiting }: Kind, task: Known): boolean {
  const [oldest] = waiting;
  return oldest !== undefined && oldest.number < task.number;
}
