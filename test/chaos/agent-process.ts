import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { processesOf } from "./processes.js";

export interface AgentOptions {
  name: string;
  /** Where the server is for it: its own link. */
  url: string;
  /** The command line's main module, of a copy that no build changes under the run. */
  main: string;
  workDir: string;
  logFile: string;
  leaseMs: number;
  slots: number;
  /** Marks every process of this run. */
  run: string;
}

const COMES_BACK_MS = 500;
/** A controller may wait for long for its children: then an operator tells the agent again, and it gives back what runs. */
const TOLD_AGAIN_MS = 40_000;
const LEAVES_WITHIN_MS = 90_000;

/** One agent as an operator keeps it: started again, under the same name and work dir, whenever it ends unasked. */
export class AgentProcess {
  readonly options: AgentOptions;
  #child: ChildProcess | undefined;
  #isWanted = false;
  /** Ends that nobody asked for: of the agent itself, after its spawner died. */
  unaskedEnds = 0;
  /** It did not leave when told to, and was killed. */
  stubbornEnds = 0;

  constructor(options: AgentOptions) {
    this.options = options;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    if (this.#child !== undefined) return;
    this.#isWanted = true;
    const { name, url, main, workDir, leaseMs, slots, run } = this.options;
    const flags = [
      "--server",
      url,
      "--name",
      name,
      "--work-dir",
      workDir,
      "--lease",
      `${leaseMs}ms`,
      "--log-format",
      "json",
      "--slots",
      String(slots),
    ];
    const child = spawn(process.execPath, [main, "agent", "start", ...flags, "--services", "2", "--order", "fair", "--gpus", "none"], {
      env: { ...process.env, CHAOS_RUN: run },
      stdio: ["ignore", "pipe", "pipe"],
    });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk: Buffer) => appendFileSync(this.options.logFile, chunk));
    child.once("exit", (code, signal) => this.#ended(child, `${code ?? signal}`));
  }

  /** Resolves once the process is gone. Nobody starts it again before `start()`. */
  async kill(): Promise<void> {
    this.#isWanted = false;
    await this.#endedBy(() => this.#child?.kill("SIGKILL"));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** SIGTERM; at once: a second one, which gives its tasks back. Resolves once it has left. */
  async leave(how: { atOnce: boolean }): Promise<void> {
    this.#isWanted = false;
    this.#child?.kill("SIGCONT");
    this.#child?.kill("SIGTERM");
    const again = setInterval(() => this.#child?.kill("SIGTERM"), how.atOnce ? 200 : TOLD_AGAIN_MS);
    await this.#endedBy(() => undefined);
    clearInterval(again);
  }

  /** The process that starts, freezes and kills for it. */
  get spawnerPids(): number[] {
    const title = `navvy spawner of ${this.options.name}`;
    return processesOf(this.options.run)
      .filter(({ command }) => command.startsWith(title))
      .map(({ pid }) => pid);
  }

  async #endedBy(act: () => void): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    const gone = once(child, "exit");
    act();
    const late = new AbortController();
    const stubborn = delay(LEAVES_WITHIN_MS, "late", { signal: late.signal }).catch(() => "over");
    if ((await Promise.race([gone, stubborn])) === "late") {
      this.stubbornEnds++;
      this.#say(`it did not leave within ${LEAVES_WITHIN_MS} ms and is killed`);
      child.kill("SIGKILL");
      await gone;
    }
    late.abort();
  }

  #ended(child: ChildProcess, how: string): void {
    if (this.#child === child) this.#child = undefined;
    this.#say(`ended: ${how}`);
    if (!this.#isWanted) return;
    this.unaskedEnds++;
    setTimeout(() => this.#isWanted && this.start(), COMES_BACK_MS);
  }

  /** What was done to it stands in its log, between its own lines. */
  #say(text: string): void {
    appendFileSync(this.options.logFile, `${JSON.stringify({ chaos: text, at: new Date().toISOString() })}\n`);
  }
}

/** Where an agent's log goes. */
export function logFileOf(folder: string, name: string): string {
  return join(folder, `${name}.log`);
}
