/** Something that a run waits for, and that loses nothing when the process ends meanwhile: a resumed run waits for it again. */
export interface Wait {
  /** A task's id. */
  task?: string;
  /** Epoch milliseconds: then it is over in any case. */
  until?: number | undefined;
  /** Someone's word, which comes into the journal. */
  word?: boolean;
  /** Its changes on the way are looked at, so the process is needed. */
  isLive?: boolean;
  /** It may need the very slot that this process holds. */
  isStuck?: boolean;
}

/** Whether a run does anything, or only waits. */
export class Activity {
  readonly #waits = new Set<Wait>();
  #working = 0;
  /** Called after every change. */
  onChange: () => void = () => {};

  /** What it waits for; undefined while it does something else too. */
  get waits(): ReadonlySet<Wait> | undefined {
    return this.#working === 0 && this.#waits.size > 0 ? this.#waits : undefined;
  }

  async work<T>(work: () => Promise<T>): Promise<T> {
    this.#working++;
    try {
      return await work();
    } finally {
      this.#working--;
      this.onChange();
    }
  }

  /** Waits in the midst of work; `wait`: for what, when not for other work. */
  async pause<T>(work: () => Promise<T>, wait?: Wait): Promise<T> {
    this.#working--;
    if (wait) this.#waits.add(wait);
    this.onChange();
    try {
      return await work();
    } finally {
      if (wait) this.#waits.delete(wait);
      this.#working++;
    }
  }
}
