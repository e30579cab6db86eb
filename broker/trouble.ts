/** What can be held up, in the words of whoever reads the agent's log. */
export type Held = "records" | "logs" | "metrics" | "artifacts";

const REMIND_MS = 60_000;

/**
 * What of this connection's writes is held up right now, and why. Whoever writes goes on trying; this is so that nobody has to
 * guess why nothing moves.
 */
export class Trouble {
  readonly #say: (sentence: string) => void;
  readonly #held = new Map<Held, { why: string; saidAt: number }>();

  constructor(say: (sentence: string) => void = () => {}) {
    this.#say = say;
  }

  /** One sentence for people; undefined while everything that is written is stored. */
  get reason(): string | undefined {
    const [first] = this.#held;
    return first && sentence(first[0], first[1].why);
  }

  /** Told at once, and again every minute for as long as it lasts. */
  begin(what: Held, error: unknown): void {
    const why = (error as Error).message;
    const known = this.#held.get(what);
    const isTold = known !== undefined && performance.now() - known.saidAt < REMIND_MS;
    this.#held.set(what, { why, saidAt: isTold ? known.saidAt : performance.now() });
    if (!isTold) this.#say(sentence(what, why));
  }

  end(what: Held): void {
    if (this.#held.delete(what)) this.#say(`${what} are stored again`);
  }
}

function sentence(what: Held, why: string): string {
  return `${what} can not be stored and wait: ${why}`;
}
