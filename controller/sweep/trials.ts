import { derivedId, type Navvy } from "../../broker/index.js";
import { isEnded, type TaskRecord } from "../../protocol/index.js";
import { attach } from "../attach.js";
import { stopping } from "../ending.js";
import { keyWithin } from "../keys.js";
import { patiently } from "../patience.js";
import { Children } from "../pipeline/children.js";
import type { SweepConfig } from "./definition.js";
import { isOpen, type TrialView, viewOf } from "./trial.js";

/** The key of a trial's task: what makes its id, together with the sweep's. */
export const keyOf = (number: number) => `trial-${number}`;

/** Beyond what a sweep's children could be numbered, should some have been deleted. */
const GAP = 10_000;
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/**
 * The trials that a sweep has started so far, by number: those of its children whose id is the one of a trial's key. A child that
 * somebody cloned from a trial by hand is none, nor is one of an earlier time when the sweep's task was reset since.
 */
export async function findTrials(navvy: Navvy, sweep: string): Promise<Map<number, TaskRecord>> {
  const children = (await Promise.all([false, true].map((archived) => navvy.tasks.list({ parent: sweep, archived })))).flat();
  const byId = new Map(children.map((child) => [child.id, child]));
  const round = await keyWithin(navvy, sweep, "");
  const found = new Map<number, TaskRecord>();
  for (let number = 1; found.size < children.length && number <= children.length + GAP; number++) {
    const record = byId.get(derivedId(sweep, round + keyOf(number)));
    if (record) found.set(number, record);
  }
  return found;
}

/** The trials of a sweep that runs here, followed while they are under way. */
export class Trials {
  readonly #navvy: Navvy;
  readonly #config: SweepConfig;
  readonly #records = new Map<number, TaskRecord>();
  readonly #children: Children;
  #isChanged = false;
  #wake = () => {};

  /** @param sweep the id of the task whose children they are */
  constructor(navvy: Navvy, sweep: string, config: SweepConfig) {
    this.#navvy = navvy;
    this.#config = config;
    this.#children = new Children(navvy, sweep);
  }

  /** Takes up what an earlier run of the sweep left: what has ended counts, what is under way is followed, a draft is sent. */
  async resume(sweep: string, queue: string): Promise<void> {
    for (const [number, found] of await patiently(() => findTrials(this.#navvy, sweep))) {
      const isDraft = found.status === "draft";
      this.follow(number, isDraft ? await attach(this.#navvy, found, { queue, isKeyed: true }) : found);
    }
  }

  follow(number: number, record: TaskRecord): void {
    this.#put(number, record);
    if (isEnded(record.status)) return;
    const put = (latest: TaskRecord) => this.#put(number, latest);
    this.#children.ended(record.id, put).then(put, () => this.#lose(number));
  }

  /** All of them, by number. */
  get views(): TrialView[] {
    return [...this.#records].sort(([a], [b]) => a - b).map(([number, record]) => viewOf(record, number, this.#config));
  }

  get open(): TrialView[] {
    return this.views.filter(isOpen);
  }

  /** The number that the next one gets. */
  get nextNumber(): number {
    return Math.max(0, ...this.#records.keys()) + 1;
  }

  record(number: number): TaskRecord | undefined {
    return this.#records.get(number);
  }

  /** Waits until one of them has changed, the process is asked to end, or it is a time (by `Date.now()`). */
  async changed(untilMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    let wake = () => {};
    await new Promise<void>((resolve) => {
      this.#wake = wake = resolve;
      if (this.#isChanged || stopping.aborted) return resolve();
      stopping.addEventListener("abort", wake);
      if (Number.isFinite(untilMs)) timer = setTimeout(wake, Math.min(Math.max(0, untilMs - Date.now()), LONGEST_TIMER_MS));
    });
    clearTimeout(timer);
    stopping.removeEventListener("abort", wake);
    this.#isChanged = false;
  }

  /** Asks for the end of one; the change follows. */
  async abort(number: number, reason: string): Promise<void> {
    const id = this.#records.get(number)?.id ?? "";
    const asked = await patiently(() => this.#navvy.tasks.abort(id, { reason })).catch(() => undefined); // it has ended meanwhile
    if (asked) this.#put(number, asked.task);
  }

  close(): void {
    this.#children.close();
  }

  #put(number: number, record: TaskRecord): void {
    const before = this.#records.get(number);
    if (before && isEnded(before.status)) return; // what came late
    this.#records.set(number, record);
    this.#isChanged = true;
    this.#wake();
  }

  /** Somebody deleted it. */
  #lose(number: number): void {
    const before = this.#records.get(number);
    if (before) this.#put(number, { ...before, status: "aborted", reason: "deleted" });
  }
}
