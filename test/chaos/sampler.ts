import { canRun, listProcesses, lookAt, type SeenProcess } from "./processes.js";

const EVERY_MS = 100;

/** Two attempts of one task that could both run at one moment. */
export interface SeenOverlap {
  task: string;
  attempts: number[];
  at: string;
  processes: SeenProcess[];
}

/**
 * Looks at /proc ten times a second for two attempts of one task that could both run: the second observer beside the marks, for
 * processes that are too busy or too broken to leave any.
 */
export class Sampler {
  readonly overlaps: SeenOverlap[] = [];
  /** How often it looked. */
  looks = 0;
  /** The longest time between two looks: what lies in between was not seen. */
  longestGapMs = 0;
  readonly #run: string;
  readonly #known = new Map<number, SeenProcess | undefined>();
  #lastMs = performance.now();
  readonly #timer = setInterval(() => this.#look(), EVERY_MS);

  constructor(run: string) {
    this.#run = run;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const nowMs = performance.now();
    this.longestGapMs = Math.max(this.longestGapMs, nowMs - this.#lastMs);
    this.#lastMs = nowMs;
    this.looks++;
    for (const [task, processes] of this.#byTask()) if (attemptsOf(processes).length > 1) this.#judge(task, processes);
  }

  #byTask(): Map<string, SeenProcess[]> {
    const byTask = new Map<string, SeenProcess[]>();
    const pids = listProcesses();
    const gone = new Set(this.#known.keys());
    for (const pid of pids) {
      gone.delete(pid);
      const process = this.#identify(pid);
      const task = process?.attemptKey?.split(".")[0];
      if (process !== undefined && task !== undefined) byTask.set(task, [...(byTask.get(task) ?? []), process]);
    }
    for (const pid of gone) this.#known.delete(pid);
    return byTask;
  }

  /** A process between fork and exec still carries its parent's environment, so only what has a key is remembered for good. */
  #identify(pid: number): SeenProcess | undefined {
    const known = this.#known.get(pid);
    if (known?.attemptKey !== undefined) return known;
    const seen = lookAt(pid, this.#run);
    this.#known.set(pid, seen);
    return seen;
  }

  /** Looked at twice: what died between two looks of one pass was not there at one moment. */
  #judge(task: string, processes: SeenProcess[]): void {
    const running = processes.filter(canRun).filter(canRun);
    const attempts = attemptsOf(running);
    if (attempts.length > 1) this.overlaps.push({ task, attempts, at: new Date().toISOString(), processes: running });
  }
}

function attemptsOf(processes: readonly SeenProcess[]): number[] {
  return [...new Set(processes.map(({ attemptKey }) => Number(attemptKey?.split(".")[1])))].sort((a, b) => a - b);
}
