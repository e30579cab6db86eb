import { NavvyError } from "../../../protocol/index.js";

/** Between asking a tool to end and killing it. */
const KILL_AFTER_MS = 500;

/**
 * A vendor's tool, asked within a time limit. One that hangs inside its driver can not even be killed: as long as such a process
 * is there no other is started beside it.
 */
export class Tool {
  readonly #program: string;
  readonly #timeoutMs: number;
  #stuck: Promise<unknown> | undefined;

  constructor(program: string, timeoutMs: number) {
    this.#program = program;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * What it prints; undefined when there is no such program.
   * @throws NavvyError timeout, setup_failed (it ended with an error: mostly a driver that does not match)
   */
  async ask(args: string[]): Promise<string | undefined> {
    const { execa } = await import("execa");
    if (this.#stuck) throw this.#silent("still gives no answer");
    const asked = execa(this.#program, args, {
      reject: false,
      stdin: "ignore",
      timeout: this.#timeoutMs,
      forceKillAfterDelay: KILL_AFTER_MS,
    });
    // A child of it may hold the pipe open: not waited for.
    const result = await Promise.race([asked, giveUpAfter(this.#timeoutMs + 2 * KILL_AFTER_MS)]);
    if (result === undefined) this.#stuck = asked.finally(() => (this.#stuck = undefined));
    if (result === undefined || result.timedOut) throw this.#silent(`gave no answer within ${this.#timeoutMs} ms`);
    if (result.code === "ENOENT") return undefined;
    if (result.failed)
      throw new NavvyError("setup_failed", `${this.#program} failed: ${firstLine(result.stdout || result.stderr)}`, { fix: this.#program });
    return result.stdout;
  }

  #silent(how: string): NavvyError {
    return new NavvyError("timeout", `${this.#program} ${how}`, { fix: this.#program });
  }
}

function giveUpAfter(delayMs: number): Promise<undefined> {
  // Not kept alive for: an agent that ends does not wait for it.
  return new Promise((resolve) => setTimeout(() => resolve(undefined), delayMs).unref());
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0] ?? "";
}
