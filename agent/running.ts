import type { Attempt } from "./task/attempt.js";

/** The attempts that run here, by task. */
export class Running {
  readonly #attempts = new Map<string, Attempt>();
  #waiting: (() => void)[] = [];

  add(attempt: Attempt): void {
    this.#attempts.set(attempt.claim.id, attempt);
  }

  remove(attempt: Attempt): void {
    if (this.#attempts.get(attempt.claim.id) === attempt) this.#attempts.delete(attempt.claim.id);
    if (this.#attempts.size > 0) return;
    for (const resolve of this.#waiting) resolve();
    this.#waiting = [];
  }

  get(id: string): Attempt | undefined {
    return this.#attempts.get(id);
  }

  /** By the key that names the attempt on this machine. */
  byKey(key: string): Attempt | undefined {
    const attempt = this.#attempts.get(key.slice(0, key.lastIndexOf(".")));
    return attempt?.key === key ? attempt : undefined;
  }

  has(id: string): boolean {
    return this.#attempts.has(id);
  }

  all(): Attempt[] {
    return [...this.#attempts.values()];
  }

  /** Resolves when nothing runs. */
  idle(): Promise<void> {
    return this.#attempts.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#waiting.push(resolve));
  }
}
