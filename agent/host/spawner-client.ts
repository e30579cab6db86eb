import { EventEmitter } from "node:events";
import { rm } from "node:fs/promises";
import { NavvyError } from "../../protocol/index.js";
import { openSpawner, type SpawnerProcess } from "./spawner/open.js";
import { sendSignal } from "./spawner/processes.js";
import { Reaper } from "./spawner/reaper.js";
import { type ProcessEnd, Started } from "./spawner/started.js";
import { LineWriter, monotonicMs, type Notice, type Request, readLines, type StartRequest } from "./spawner/wire.js";

export type { ProcessEnd };

/** What to start: the attempt's key, its program, and the files that get what it prints and how it ends. */
export type StartSpec = Omit<StartRequest, "op">;

/** Where a spawner lives and how long what it runs outlives its agent. */
export interface SpawnerOptions {
  /** Folder for the socket and the spawner's own log; must exist. */
  workDir: string;
  /** Name of the agent, for process lists. */
  agent: string;
  log?: { warn(detail: object, message: string): void };
  /** How long trees outlive the agent in milliseconds, frozen when their lease is over. Default 0: killed at once. */
  orphanMs?: number;
}

interface SpawnerEvents {
  /** Every tree was stopped, because the lease was over. */
  frozen: [];
  thawed: [];
  /** The spawner itself died. What it ran is killed from here. */
  lost: [];
}

/** Ended attempts that can still be asked about. */
const REMEMBERED = 1_000;

/**
 * The agent's side of its spawner: starts, signals, freezes and kills process trees by the key of their attempt.
 *
 * Should the spawner die, nobody freezes its trees in time any more: they are killed, and `lost` is told.
 */
export class SpawnerClient extends EventEmitter<SpawnerEvents> {
  readonly #process: SpawnerProcess;
  readonly #writer: LineWriter<Request>;
  readonly #options: SpawnerOptions;
  readonly #attempts = new Map<string, Started>();
  readonly #over: string[] = [];
  #isFrozen = false;
  #state: "open" | "closing" | "lost" = "open";

  /** @throws NavvyError setup_failed when the spawner does not come up */
  static async open(options: SpawnerOptions): Promise<SpawnerClient> {
    return new SpawnerClient(await openSpawner(options.workDir), options);
  }

  private constructor(spawner: SpawnerProcess, options: SpawnerOptions) {
    super();
    this.#process = spawner;
    this.#options = options;
    this.#writer = new LineWriter(spawner.socket);
    readLines<Notice>(spawner.socket, (notice) => this.#hear(notice));
    // What went wrong is told by the close that follows.
    spawner.socket.on("error", () => {});
    spawner.socket.on("close", () => this.#closed());
    this.#writer.send({ op: "hello", agent: options.agent, orphanMs: options.orphanMs ?? 0 });
  }

  /** The spawner's process number. */
  get pid(): number {
    return this.#process.pid;
  }

  /** True while every tree is stopped. A start waits until they are thawed. */
  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  /**
   * Resolves when the program runs.
   *
   * @throws NavvyError setup_failed (`detail.errno` says why; `fix` what to do), disk_full, internal (no spawner)
   */
  async start(spec: StartSpec): Promise<{ pid: number }> {
    if (this.#state !== "open") throw noSpawner(spec.key);
    if (this.#attempts.get(spec.key)?.isOver === false) {
      throw new NavvyError("conflict", `attempt ${spec.key} is already running on this machine`);
    }
    const attempt = new Started();
    this.#attempts.set(spec.key, attempt);
    this.#writer.send({ ...spec, op: "start" });
    return { pid: await attempt.started.promise };
  }

  /**
   * Resolves when the main process has ended; others of its tree may live until `gone`.
   *
   * @throws NavvyError not_found for a key never started here, or ended a thousand attempts ago
   */
  async exited(key: string): Promise<ProcessEnd> {
    return await this.#find(key).exited.promise;
  }

  /**
   * Resolves when no process of the tree is left. Behind `exited` by up to a second: one sweep serves many attempts.
   *
   * @throws NavvyError not_found as with `exited`
   */
  async gone(key: string): Promise<void> {
    await this.#find(key).gone.promise;
  }

  /** To the whole process group. Nothing happens when it has ended. */
  signal(key: string, signal: NodeJS.Signals): void {
    this.#writer.send({ op: "signal", key, signal });
  }

  /** Resolves when no process of the tree is left; also for a key that an earlier run of the agent left behind. */
  async kill(key: string): Promise<void> {
    const attempt = this.#attempts.get(key) ?? new Started();
    if (attempt.isOver) return;
    this.#attempts.set(key, attempt);
    if (this.#state === "lost") this.#hunter.hunt(key);
    else this.#writer.send({ op: "kill", key });
    await attempt.gone.promise;
  }

  /** Trees are frozen that many milliseconds from now unless this is called again; null: never. Thaws what is frozen. */
  lease(freezeInMs: number | null): void {
    this.#writer.send({ op: "lease", freezeInMs, sentAtMs: monotonicMs() });
  }

  /** Kills everything and resolves when the spawner has ended. */
  async close(): Promise<void> {
    if (this.#state === "open") {
      this.#state = "closing";
      this.#writer.send({ op: "shutdown" });
    }
    await this.#process.ended;
    await Promise.all([...this.#attempts.values()].map((attempt) => attempt.gone.promise));
  }

  #find(key: string): Started {
    const attempt = this.#attempts.get(key);
    if (attempt === undefined) throw new NavvyError("not_found", `attempt ${key} was not started by this agent's spawner`);
    return attempt;
  }

  #hear(notice: Notice): void {
    if (notice.event === "frozen" || notice.event === "thawed") {
      this.#isFrozen = notice.event === "frozen";
      this.emit(notice.event);
      return;
    }
    const attempt = this.#attempts.get(notice.key);
    if (attempt === undefined) return;
    attempt.hear(notice);
    if (attempt.isOver) this.#remember(notice.key);
  }

  #remember(key: string): void {
    this.#over.push(key);
    const oldest = this.#over.length > REMEMBERED ? this.#over.shift() : undefined;
    if (oldest !== undefined && this.#attempts.get(oldest)?.isOver) this.#attempts.delete(oldest);
  }

  #closed(): void {
    if (this.#state === "open") {
      this.#options.log?.warn({ spawner: this.pid, agent: this.#options.agent }, "the spawner died: what it ran is killed");
    }
    const wasOpen = this.#state === "open";
    this.#state = "lost";
    for (const [key, attempt] of this.#attempts) if (!attempt.isOver) this.#abandon(key, attempt);
    void rm(this.#process.socketPath, { force: true });
    if (wasOpen) this.emit("lost");
  }

  #abandon(key: string, attempt: Started): void {
    if (attempt.pid !== undefined && !attempt.hasExited) sendSignal(-attempt.pid, "SIGKILL");
    attempt.lose(noSpawner(key));
    this.#hunter.hunt(key);
  }

  /** Does the spawner's last duty in its place. */
  readonly #hunter = new Reaper({ isEnded: () => true, onGone: (key) => this.#attempts.get(key)?.hear({ event: "gone", key }) });
}

function noSpawner(key: string): NavvyError {
  return new NavvyError("internal", `${key} can not run: this agent's spawner has ended`, { fix: "restart the agent" });
}
