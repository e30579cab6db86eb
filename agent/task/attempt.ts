import type { Claim, Navvy } from "../../broker/index.js";
import { type Beat, isNavvyError, NavvyError, type Outcome, type Owner } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";
import type { BundleCache } from "../host/bundle-cache.js";
import type { Journal } from "../host/journal.js";
import type { ProcessEnd, Runner } from "../runners/runner.js";
import type { Slot } from "../slots.js";
import { after } from "./after.js";
import { ArtifactUploads } from "./artifact-uploads.js";
import { taskEnvironment } from "./environment.js";
import { attemptFolder, removeLater } from "./folder.js";
import { LogShipper } from "./log-shipper.js";
import { Noter } from "./noter.js";
import { type Cause, outcomeOf, setupOutcome } from "./outcome.js";
import { Pace } from "./pace.js";
import { prepare } from "./prepare.js";
import { Reports } from "./reports.js";
import { settle } from "./settle.js";

/** What every attempt of an agent works with. */
export interface AttemptParts {
  config: AgentConfig;
  navvy: Navvy;
  runner: Runner;
  journal: Journal;
  bundles: BundleCache;
  /** Whether the lease is young enough to start a process under it. */
  isLeaseFresh: (owner: Owner) => boolean;
}

/**
 * One try at one task, from its claim until it is settled: prepare, start, watch, collect, settle.
 *
 * It can be ended from outside at any point (abort, time limit, give back, revoked lease); the first cause wins.
 */
export class Attempt {
  readonly claim: Claim;
  readonly slot: Slot;
  readonly key: string;
  readonly #parts: AttemptParts;
  readonly #shipper: LogShipper;
  readonly #reports: Reports;
  readonly #noter: Noter;
  readonly #folder;
  readonly #since = new Date().toISOString();
  /** Fires when the lease is revoked: nothing may be published or recorded any more. */
  readonly #revoked = new AbortController();
  #cause: Cause | undefined;
  #state: "before" | "starting" | "running" | "after" = "before";
  #cancelGrace = () => {};

  constructor(parts: AttemptParts, claim: Claim, slot: Slot) {
    const target = { id: claim.id, attempt: claim.attempt };
    this.#parts = parts;
    this.claim = claim;
    this.slot = slot;
    this.key = `${claim.id}.${claim.attempt}`;
    this.#folder = attemptFolder(parts.config.folder, this.key, claim.record);
    this.#shipper = new LogShipper({
      logs: parts.navvy.logs,
      target,
      stdout: this.#folder.stdout,
      stderr: this.#folder.stderr,
      signal: this.#revoked.signal,
    });
    const uploads = new ArtifactUploads(parts.navvy.objects, claim.attempt);
    this.#reports = new Reports({ folder: this.#folder, target, metrics: parts.navvy.metrics, uploads, signal: this.#revoked.signal });
    this.#noter = new Noter(parts.navvy.tasks.claims, claim, this.#reports);
  }

  /**
   * Runs the attempt to its end; never throws. The slot is free when it resolves.
   * @returns false when it is not known that its end stands on the record: whoever calls sees to that
   */
  async run(): Promise<boolean> {
    const { log } = this.#parts.config;
    try {
      const outcome = await this.#live();
      await settle({
        claims: this.#parts.navvy.tasks.claims,
        claim: this.claim,
        outcome,
        collect: () => this.#collect(outcome),
        isRevoked: () => this.#revoked.signal.aborted,
        log,
      });
      return true;
    } catch (error) {
      log.error({ err: error, task: this.claim.id, attempt: this.claim.attempt }, "attempt could not be settled");
      return this.#revoked.signal.aborted;
    } finally {
      await this.#cleanUp();
    }
  }

  /** A wish to end it: SIGTERM, a grace in which reports and uploads are still taken, SIGKILL. */
  abort(reason: string, graceMs?: number): void {
    this.#end({ kind: "aborted", reason, graceMs: graceMs ?? this.claim.record.spec.graceMs });
  }

  /** Back to its queue at once. */
  giveBack(reason: string): void {
    this.#end({ kind: "given_back", reason });
  }

  /** The lease is gone: the tree is killed and nothing is recorded. */
  revoke(reason: string): void {
    this.#revoked.abort();
    this.#end({ kind: "revoked", reason });
  }

  get view(): Beat["running"][number] {
    const { record } = this.claim;
    const progress = this.#reports.reported.progress;
    return {
      id: record.id,
      name: record.name,
      attempt: this.claim.attempt,
      queue: record.queue ?? "",
      phase: this.#noter.phase,
      since: this.#since,
      ...(progress?.of ? { progress: progress.n / progress.of } : {}),
      ...(this.slot.pool === "service" ? { service: true } : {}),
    };
  }

  async #live(): Promise<Outcome> {
    this.#noter.phase = "preparing";
    const pace = new Pace(() => this.#turn());
    try {
      const cwd = await prepare({ bundles: this.#parts.bundles, objects: this.#parts.navvy.objects }, this.claim.record, this.#folder);
      if (!this.#parts.isLeaseFresh(this.claim.owner))
        this.#cause ??= { kind: "given_back", reason: "the lease ran short before the start" };
      if (this.#cause) return outcomeOf({ code: null, signal: null }, this.#cause, "");
      await this.#start(cwd);
    } catch (error) {
      if (this.#cause) return outcomeOf({ code: null, signal: null }, this.#cause, "");
      return setupOutcome(error);
    } finally {
      if (this.#state !== "running") await pace.stop();
    }
    return this.#watch(pace);
  }

  async #start(cwd: string): Promise<void> {
    const { config, runner, journal } = this.#parts;
    const { record } = this.claim;
    const { stdout, stderr, exitFile, root } = this.#folder;
    const env = taskEnvironment({ config, record, slot: this.slot, folder: this.#folder, inherited: process.env });
    const at = new Date().toISOString();
    const place = { key: this.key, stdout, stderr, exitFile };
    await journal.append({
      op: "start",
      ...place,
      task: record.id,
      attempt: this.claim.attempt,
      session: this.claim.owner.session,
      dir: root,
      gpus: this.slot.gpus,
      at,
    });
    if (this.#cause) throw new NavvyError("aborted", `task ${record.id} was ended before it started`);
    this.#state = "starting";
    const { pid } = await runner.start({ ...place, argv: record.spec.command, cwd, env });
    this.#state = "running";
    journal
      .append({ op: "pid", key: this.key, pid })
      .catch((error: unknown) => config.log.error({ err: error }, "the host journal can not be written"));
  }

  /** Watches the process to its end. Whatever ended it, nothing of the tree lives when a cause of ours is reported. */
  async #watch(pace: Pace): Promise<Outcome> {
    const { timeLimitMs, graceMs } = this.claim.record.spec;
    this.#noter.phase = "executing";
    if (this.#cause) this.#deliver(this.#cause); // it came while the process was being started
    const cancelLimit =
      timeLimitMs === undefined
        ? () => {}
        : after(timeLimitMs, () => this.#end({ kind: "timed_out", reason: `hit its time limit of ${timeLimitMs} ms`, graceMs }));
    let end: ProcessEnd;
    try {
      end = await this.#parts.runner.exited(this.key);
      this.#state = "after";
      if (this.#cause) await this.#parts.runner.kill(this.key);
    } finally {
      cancelLimit();
      this.#cancelGrace();
    }
    await pace.stop();
    await this.#shipper.drain();
    return outcomeOf(end, this.#cause, this.#shipper.tail);
  }

  /** Takes in what the process printed and reported since the last turn. @returns whether there was any */
  async #turn(): Promise<boolean> {
    this.#noter.tick();
    if (this.#state !== "running") return true;
    try {
      const moved = await Promise.all([this.#shipper.drain(), this.#reports.drain()]);
      return moved.includes(true);
    } catch (error) {
      if (!this.#revoked.signal.aborted)
        this.#parts.config.log.warn({ err: error, task: this.claim.id }, "a report could not be taken in; it is tried again");
      return false;
    }
  }

  /** Everything the task reported, safely stored. @returns what goes into the record with the outcome */
  async #collect(outcome: Outcome) {
    this.#noter.phase = "collecting";
    await this.#noter.settle();
    if (outcome.kind === "setup_failed") await this.#shipper.say(outcome.tail ?? outcome.reason ?? "set-up failed");
    try {
      const reported = await this.#reports.finish();
      return { reported, logBytes: await this.#shipper.finish() };
    } catch (error) {
      if (!isNavvyError(error) || error.retryable) throw error;
      this.#reports.note("error", `not everything could be stored: ${error.message}`);
      return { reported: this.#reports.reported };
    }
  }

  #end(cause: Cause): void {
    if (this.#cause && cause.kind !== "revoked") return;
    this.#cause = this.#cause?.kind === "revoked" ? this.#cause : cause;
    // A start that a frozen machine holds back has no process to signal yet: what must go at once is dropped there.
    const mustGo = cause.kind === "revoked" || cause.kind === "given_back";
    if (this.#state === "running" || (this.#state === "starting" && mustGo)) this.#deliver(cause);
  }

  #deliver(cause: Cause): void {
    const { runner, config } = this.#parts;
    const kill = () => {
      void runner.kill(this.key).catch((error: unknown) => config.log.error({ err: error, task: this.claim.id }, "could not kill"));
    };
    if (cause.kind === "given_back" || cause.kind === "revoked") return kill();
    this.#noter.phase = "aborting";
    runner.signal(this.key, "SIGTERM");
    this.#cancelGrace = after(cause.graceMs, kill);
  }

  /** Nobody waits for the journal here: an end that is lost is found out at the next start. */
  async #cleanUp(): Promise<void> {
    const { journal, config } = this.#parts;
    const end = { op: "end", key: this.key, at: new Date().toISOString() } as const;
    journal.append(end).catch((error: unknown) => config.log.error({ err: error }, "the host journal can not be written"));
    removeLater(this.#folder, config.log);
    await Promise.all([this.#shipper.close(), this.#reports.close()]);
  }
}
