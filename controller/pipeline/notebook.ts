import type { Journal, Noted } from "../../broker/index.js";
import type { ParameterValue } from "../../protocol/index.js";
import { isStepOver } from "../graph/step-state.js";
import { patiently } from "../patience.js";
import type { Member, MemberNote } from "./step-run.js";

/** What a run keeps in its journal, by key. */
export const KEYS = {
  run: "run",
  graph: "graph",
  member: (key: string) => `step:${key}`,
  hook: (hook: string, key: string) => `${hook}:${key}`,
  cache: (key: string) => `cache:${key}`,
  approval: (step: string) => `approve:${step}`,
  /** Since when a step waits for one. */
  asked: (step: string) => `asked:${step}`,
  /** How often a step was told to run again: its tasks of before are none of this time's. */
  again: (step: string) => `again:${step}`,
} as const;

/** The step whose member a key names: `train[2]` is one of `train`. */
export const stepOf = (member: string) => member.replace(/\[\d+\]$/, "");

/** The journal of a run as it stood at the start, and what has come since. */
export class Notebook {
  readonly #journal: Journal;
  readonly #known: Map<string, Noted>;
  readonly #listeners = new Map<string, (noted: Noted) => void>();
  readonly #isResumed: boolean;
  readonly #begunBefore = new Set<string>();
  readonly #begun = new Map<string, Promise<void>>();

  constructor(journal: Journal, known: Map<string, Noted>) {
    this.#journal = journal;
    this.#known = known;
    this.#isResumed = known.has(KEYS.run);
    for (const key of known.keys()) if (key.startsWith("step:")) this.#begunBefore.add(stepOf(key.slice("step:".length)));
  }

  /** Whether an earlier process of this run has begun it. */
  get isResumed(): boolean {
    return this.#isResumed;
  }

  /** Whether an earlier process had a task for a step, or saw its end. */
  hasBegun(step: string): boolean {
    return this.#begunBefore.has(step);
  }

  get(key: string): Noted | undefined {
    return this.#known.get(key);
  }

  /** How a member ended, when an earlier process of this run saw it. */
  ended(key: string): MemberNote | undefined {
    const note = this.get(KEYS.member(key))?.value as unknown as MemberNote | undefined;
    return note && isStepOver(note.state) ? note : undefined;
  }

  /** Which time of its step it is, for the keys of its tasks. */
  again(step: string): number {
    return Number(this.get(KEYS.again(step))?.value ?? 0);
  }

  /** Notes which task a member has now, for those who look on: the run itself needs it not, so nobody waits for it. */
  begin(member: Member): void {
    const before = this.#begun.get(member.key) ?? Promise.resolve();
    const begun = before.then(() => this.set(KEYS.member(member.key), noteOf(member))).catch(() => undefined);
    this.#begun.set(member.key, begun);
  }

  /** Notes how a member ended. */
  async end(member: Member): Promise<void> {
    await this.#begun.get(member.key);
    this.#begun.delete(member.key);
    await this.set(KEYS.member(member.key), noteOf(member));
  }

  async set(key: string, value: ParameterValue): Promise<void> {
    await patiently(() => this.#journal.set(key, value));
    this.#known.set(key, { key, value, at: new Date().toISOString(), by: "" });
  }

  /** Gives what was noted under the key; else makes it, and notes it. */
  async once(key: string, make: () => Promise<ParameterValue>): Promise<ParameterValue> {
    const known = this.get(key);
    if (known) return known.value;
    const value = await make();
    const noted = await patiently(() => this.#journal.put(key, value));
    this.#known.set(key, noted);
    return noted.value;
  }

  /** Something that another process noted. */
  heard(noted: Noted): void {
    this.#known.set(noted.key, noted);
    this.#listeners.get(noted.key)?.(noted);
  }

  /** Forgets what someone noted, to wait for it again. */
  async forget(key: string): Promise<void> {
    this.#known.delete(key);
    await patiently(() => this.#journal.delete(key));
  }

  /** Resolves with what someone notes under the key, at once when it is there. */
  async waitFor(key: string, signal: AbortSignal): Promise<Noted | undefined> {
    const known = this.get(key);
    if (known || signal.aborted) return known;
    return new Promise((resolve) => {
      const end = (noted?: Noted) => {
        this.#listeners.delete(key);
        signal.removeEventListener("abort", onAbort);
        resolve(noted);
      };
      const onAbort = () => end();
      this.#listeners.set(key, end);
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }
}

function noteOf({ state, reason, task, round, tries }: Member): ParameterValue {
  const note: MemberNote = { state, round, tries, ...(reason === undefined ? {} : { reason }), ...(task === undefined ? {} : { task }) };
  return note as unknown as ParameterValue;
}
