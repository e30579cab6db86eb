import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { Navvy } from "../../broker/index.js";
import { isNavvyError } from "../../protocol/index.js";
import type { OpenTasks } from "./open-tasks.js";

const LOOK_EVERY_MS = 5_000;
/** A look lists every log that stands on the stream: with very many of them it is taken as much more seldom. */
const LOOK_SHARE = 0.05;
/** Most logs are short, and nobody waits for them: at most so many a second while tasks need the server themselves. */
const PAUSE_MS = 50;
/** Beyond that it can not keep up, and goes on without pauses. */
const BACKLOG = 5_000;
/** What could not be rolled is looked at again after that. */
const AGAIN_MS = 60_000;

/**
 * Rolls the logs of attempts that are over into objects, in the background, one after the other. Level-triggered: each look takes
 * what stands on the log stream, whoever left it there, so that also the logs of lost agents, and those of a time without a
 * leader, are rolled. Two of them at once do no harm.
 */
export class Roller {
  readonly #navvy: Navvy;
  readonly #log: Logger;
  readonly #open: Pick<OpenTasks, "isComplete" | "running">;
  readonly #stop = new AbortController();
  /** By task and attempt: what is not to be looked at before that time, unless there is more of it. */
  readonly #later = new Map<string, { messages: number; at: number }>();

  constructor(parts: { navvy: Navvy; log: Logger; open: Pick<OpenTasks, "isComplete" | "running"> }) {
    this.#navvy = parts.navvy;
    this.#log = parts.log;
    this.#open = parts.open;
    void this.#run();
  }

  close(): void {
    this.#stop.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (let waitMs = LOOK_EVERY_MS; await sleep(waitMs, signal); ) {
      const startedAt = performance.now();
      const due = await this.#look().catch((error: unknown) => this.#say(error, "the log stream could not be looked at"));
      waitMs = Math.max(LOOK_EVERY_MS, (performance.now() - startedAt) / LOOK_SHARE);
      for (const target of due ?? []) {
        if (signal.aborted) return;
        await this.#roll(target);
        if ((due?.length ?? 0) < BACKLOG && !(await sleep(PAUSE_MS, signal))) return;
      }
    }
  }

  /** What stands on the stream of attempts that do not run. */
  async #look(): Promise<Standing[]> {
    if (!this.#open.isComplete) return [];
    const standing = await this.#navvy.logs.standing();
    const running = new Set(this.#open.running().map(keyOf));
    const keys = new Set(standing.map(keyOf));
    for (const key of this.#later.keys()) if (!keys.has(key)) this.#later.delete(key);
    return standing.filter((target) => {
      const later = this.#later.get(keyOf(target));
      const isDue = later?.messages !== target.messages || performance.now() > later.at;
      return isDue && !running.has(keyOf(target));
    });
  }

  async #roll(target: Standing): Promise<void> {
    try {
      const roll = await this.#navvy.logs.roll(target);
      // Of a task that is gone, or came after the roll: garbage collection sees to the one, the stream's own limits to both.
      const waitMs = roll === "not_over" ? LOOK_EVERY_MS : AGAIN_MS;
      this.#later.set(keyOf(target), { messages: target.messages, at: performance.now() + waitMs });
    } catch (error) {
      this.#later.set(keyOf(target), { messages: target.messages, at: performance.now() + AGAIN_MS });
      this.#say(error, "a log could not be rolled into an object: it stays on the stream, and is tried again", target);
    }
  }

  /** With the server away there is nothing to say that others do not say already. */
  #say(error: unknown, sentence: string, target?: Standing): undefined {
    if (this.#stop.signal.aborted || isNavvyError(error, "nats_unreachable") || isNavvyError(error, "timeout")) return;
    this.#log.warn({ err: error, ...(target ? { task: target.id, attempt: target.attempt } : {}) }, sentence);
  }
}

interface Standing {
  id: string;
  attempt: number;
  messages: number;
}

const keyOf = ({ id, attempt }: { id: string; attempt: number }) => `${id}.${attempt}`;

/** @returns false when it was cut short */
function sleep(ms: number, signal: AbortSignal): Promise<boolean> {
  return delay(ms, true, { signal, ref: false }).catch(() => false);
}
