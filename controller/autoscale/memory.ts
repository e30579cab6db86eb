import type { Journal, Navvy } from "../../broker/index.js";
import type { ParameterValue } from "../../protocol/index.js";
import { patiently } from "../patience.js";
import { type Memory, NOTHING } from "./plan.js";

/** What the entry is called in the controller's journal. */
const KEY = "machines";

/** Keeps an autoscaler's memory in the journal of its task, so that it is there when the task runs again elsewhere. */
export class KeptMemory {
  readonly #journal: Journal;

  constructor(navvy: Navvy, task: string) {
    this.#journal = navvy.journals.of(task);
  }

  async load(): Promise<Memory> {
    const noted = await patiently(() => this.#journal.get(KEY));
    return { ...NOTHING, ...(noted?.value as Partial<Memory> | undefined) };
  }

  async save(memory: Memory): Promise<void> {
    await patiently(() => this.#journal.set(KEY, JSON.parse(JSON.stringify(memory)) as ParameterValue));
  }
}
