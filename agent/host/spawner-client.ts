import { EventEmitter } from "node:events";
import { rm } from "node:fs/promises";
import { NavvyError } from "../../protocol/index.js";
import type { ContainerHandle, EndRequest, ProcessEnd, RunSpec, TreeState } from "../runners/runner.js";
import { clearCgroup } from "./cgroup.js";
import { type AdoptOptions, adoptSpawner } from "./spawner/adopt.js";
import { type OpenSpawner, startSpawner } from "./spawner/open.js";
import { sendSignal } from "./spawner/processes.js";
import { Reaper } from "./spawner/reaper.js";
import { Started } from "./spawner/started.js";
import { monotonicMs, type Notice } from "./spawner/wire.js";

export type { ProcessEnd, TreeState };

/** What to start: the attempt's key, its program, and the files that get what it prints and how it ends. */
export interface StartSpec extends Omit<RunSpec, "container"> {
  /** The program is the command of its engine that is attached to it. */
  container?: ContainerHandle;
}

/** Where a spawner lives and how long what it runs outlives its agent. */
export interface SpawnerOptions {
  /** Folder for the socket and the spawner's own log; must exist. */
  workDir: string;
  /** Name of the agent, for process lists. */
  agent: string;
  log?: { warn(detail: object, message: string): void };
  /** How long trees outlive the agent in milliseconds, frozen when their lease is over. Default 0: killed at once. */
  orphanMs?: number;
  /** The spawner of an earlier run: taken over with its trees when it still answers, else a new one is started. */
  adopt?: AdoptOptions;
}

interface SpawnerEvents {
  /** Trees were stopped, because the lease was over. */
  frozen: [];
  thawed: [];
  /** The spawner itself died, or serves another agent now. In the first case what it ran is killed from here. */
  lost: [];
  /** The spawner has begun to end a tree by itself: by "time_limit", "lease". */
  ending: [key: string, by: string];
}

/** Ended attempts that can still be asked about. */
const REMEMBERED = 1_000;
const DEFAULT_GRACE_MS = 30_000;

/**
 * The agent's side of its spawner: starts, signals, freezes, ends and kills process trees by the key of their attempt.
 *
 * Should the spawner die, nobody freezes its trees in time any more: they are killed, and `lost` is told.
 */
export class SpawnerClient extends EventEmitter<SpawnerEvents> {
  /** The trees that were there before us: none with a new spawner. They answer as if started here. */
  readonly adopted: readonly TreeState[];
  readonly #spawner: OpenSpawner;
  readonly #options: SpawnerOptions;
  readonly #attempts = new Map<string, Started>();
  readonly #over: string[] = [];
  #isFrozen: boolean;
  #cleared: Promise<void> | undefined;
  #state: "open" | "closing" | "detached" | "lost" = "open";

  /** @throws NavvyError setup_failed when the spawner does not come up */
  static async open(options: SpawnerOptions): Promise<SpawnerClient> {
    const opener = { agent: options.agent, orphanMs: options.orphanMs ?? 0 };
    const adopted = options.adopt && (await adoptSpawner(options.adopt, opener, options.log));
    return new SpawnerClient(adopted ?? (await startSpawner(options.workDir, opener)), options);
  }

  private constructor(spawner: OpenSpawner, options: SpawnerOptions) {
    super();
    this.#spawner = spawner;
    this.#options = options;
    this.#isFrozen = spawner.hello.isFrozen;
    this.adopted = spawner.hello.trees;
    for (const state of this.adopted) this.#attempts.set(state.key, Started.adopt(state));
    spawner.link.hear(
      (notice) => this.#hear(notice),
      () => this.#closed(),
    );
  }

  /** The spawner's process number. */
  get pid(): number {
    return this.#spawner.hello.pid;
  }

  /** Where the spawner listens: what a later run of this agent needs to adopt it. */
  get socketPath(): string {
    return this.#spawner.socketPath;
  }

  /** The folder of its cgroups, to be cleared should it die; null: it makes none on this machine. */
  get cgroup(): string | null {
    return this.#spawner.hello.cgroup;
  }

  /** Whether `maxPids` is enforced on this machine. */
  get canLimitPids(): boolean {
    return this.#spawner.hello.canLimitPids;
  }

  /** Whether it holds containers: an older one that was adopted may not. */
  get holdsContainers(): boolean {
    return this.#spawner.hello.holdsContainers === true;
  }

  /** True while the lease is over. A start waits until there is one again. */
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
    const { onDisconnect = "freeze", graceMs = DEFAULT_GRACE_MS } = spec;
    this.#spawner.link.send({ ...spec, onDisconnect, graceMs, op: "start" });
    return { pid: await attempt.started.promise };
  }

  /**
   * Resolves when the main process has ended; others of its tree may live until `gone`.
   *
   * @throws NavvyError not_found for a key neither started here nor adopted, or ended a thousand attempts ago
   */
  async exited(key: string): Promise<ProcessEnd> {
    return await this.#find(key).exited.promise;
  }

  /**
   * Resolves when no process of the tree is left. Without cgroups behind `exited` by up to a second: one sweep serves many attempts.
   *
   * @throws NavvyError not_found as with `exited`
   */
  async gone(key: string): Promise<void> {
    await this.#find(key).gone.promise;
  }

  /** The tree's main process, once it runs and until it has ended. */
  pidOf(key: string): number | undefined {
    const attempt = this.#attempts.get(key);
    return attempt?.hasExited ? undefined : attempt?.pid;
  }

  /** To the whole process group. Nothing happens when it has ended. */
  signal(key: string, signal: NodeJS.Signals): void {
    this.#spawner.link.send({ op: "signal", key, signal });
  }

  /** SIGTERM to the whole tree, SIGKILL after the grace: by the spawner, so also when this process hangs or dies. */
  end(key: string, { graceMs, by }: EndRequest): void {
    this.#spawner.link.send({ op: "end", key, graceMs, by });
  }

  /** Resolves when no process of the tree is left; also for a key that an earlier run of the agent left behind. */
  async kill(key: string): Promise<void> {
    const attempt = this.#attempts.get(key) ?? new Started();
    if (attempt.isOver || this.#state === "detached") return;
    this.#attempts.set(key, attempt);
    if (this.#state === "lost") this.#hunter.hunt(key);
    else this.#spawner.link.send({ op: "kill", key });
    await attempt.gone.promise;
  }

  /** Has the tree stand still until `resume`. Its time limit does not count meanwhile, and an end resumes it. */
  pause(key: string): void {
    this.#spawner.link.send({ op: "pause", key });
  }

  /** Nothing happens when it was not paused. */
  resume(key: string): void {
    this.#spawner.link.send({ op: "resume", key });
  }

  /** The end is recorded: the spawner need not tell it to a later run of this agent. */
  release(key: string): void {
    this.#spawner.link.send({ op: "release", key });
  }

  /** Trees are frozen that many milliseconds from now unless this is called again; null: never. Thaws what is frozen. */
  lease(freezeInMs: number | null): void {
    this.#spawner.link.send({ op: "lease", freezeInMs, sentAtMs: monotonicMs() });
  }

  /** Leaves everything running and closes the connection, for a later run of this agent to adopt. What is awaited here stays open. */
  async detach(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "detached";
    this.#spawner.unref();
    await this.#spawner.link.detach();
  }

  /** Kills everything and resolves when the spawner has ended. */
  async close(): Promise<void> {
    if (this.#state === "detached") return;
    if (this.#state === "open") {
      this.#state = "closing";
      this.#spawner.link.send({ op: "shutdown" });
    }
    await this.#spawner.ended;
    await this.#cleared;
    await Promise.all([...this.#attempts.values()].map((attempt) => attempt.gone.promise));
  }

  #find(key: string): Started {
    const attempt = this.#attempts.get(key);
    if (attempt === undefined) throw new NavvyError("not_found", `attempt ${key} was not started by this agent's spawner`);
    return attempt;
  }

  #hear(notice: Notice): void {
    switch (notice.event) {
      case "hello":
        return;
      case "frozen":
      case "thawed":
        this.#isFrozen = notice.event === "frozen";
        this.emit(notice.event);
        return;
      case "replaced":
        return this.#replaced();
      default: {
        const attempt = this.#attempts.get(notice.key);
        attempt?.hear(notice);
        if (attempt?.isOver) this.#remember(notice.key);
        if (notice.event === "ending") this.emit("ending", notice.key, notice.by);
      }
    }
  }

  #remember(key: string): void {
    this.#over.push(key);
    const oldest = this.#over.length > REMEMBERED ? this.#over.shift() : undefined;
    if (oldest !== undefined && this.#attempts.get(oldest)?.isOver) this.#attempts.delete(oldest);
  }

  /** What runs is another agent's now, and not ours to kill. */
  #replaced(): void {
    this.#options.log?.warn({ spawner: this.pid, agent: this.#options.agent }, "another run of this agent took its spawner over");
    this.#state = "detached";
    this.#spawner.unref();
    for (const [key, attempt] of this.#attempts) if (!attempt.hasExited) attempt.lose(noSpawner(key));
    this.emit("lost");
  }

  #closed(): void {
    if (this.#state === "detached") return;
    if (this.#state === "open") {
      this.#options.log?.warn({ spawner: this.pid, agent: this.#options.agent }, "the spawner died: what it ran is killed");
    }
    const wasOpen = this.#state === "open";
    this.#state = "lost";
    this.#cleared = this.#clear([...this.#attempts].filter(([, { isOver }]) => !isOver));
    if (wasOpen) this.emit("lost");
  }

  async #clear(orphans: [string, Started][]): Promise<void> {
    for (const [key, attempt] of orphans) {
      if (attempt.pid !== undefined && !attempt.hasExited) sendSignal(-attempt.pid, "SIGKILL");
      attempt.lose(noSpawner(key));
    }
    try {
      await rm(this.#spawner.socketPath, { force: true });
      if (this.cgroup !== null) await clearCgroup(this.cgroup);
    } catch (error) {
      this.#options.log?.warn({ err: error, cgroup: this.cgroup }, "something of a spawner that ended could not be removed");
    }
    for (const [key] of orphans) this.#hunter.hunt(key);
  }

  /** Does the spawner's last duty in its place. */
  readonly #hunter = new Reaper({ isEnded: () => true, onGone: (key) => this.#attempts.get(key)?.hear({ event: "gone", key }) });
}

function noSpawner(key: string): NavvyError {
  return new NavvyError("internal", `${key} can not run: this agent's spawner has ended`, { fix: "restart the agent" });
}
