import type { Claim } from "../../broker/index.js";
import { type Beat, NavvyError, type Outcome, type Owner } from "../../protocol/index.js";
import type { ProcessEnd } from "../runners/runner.js";
import type { Slot } from "../slots.js";
import { type AttemptParts, journalStart, type Plumbing, plumbing, resumedPlumbing, runningView } from "./attempt-parts.js";
import { collect } from "./collect.js";
import { Ending } from "./ending.js";
import { endFolder, isKept, keptNote } from "./kept.js";
import { keyOf } from "./key.js";
import type { Leftover } from "./leftover.js";
import { LogShipper } from "./log-shipper.js";
import { Noter } from "./noter.js";
import { causeOf, outcomeOf, setupOutcome } from "./outcome.js";
import { Pace } from "./pace.js";
import { type Preparation, type Prepared, prepareUntilCut } from "./prepare.js";
import { Reports } from "./reports.js";
import { runSpecOf } from "./run-spec.js";
import { settle } from "./settle.js";

export type { AttemptParts };

interface Made {
  plumbing: Plumbing;
  slot: Slot;
  shipper: LogShipper;
  reports: Reports;
  left?: Leftover;
}

/**
 * One try at one task, from its claim until it is settled: prepare, start, watch, collect, settle; an adopted one begins at
 * watch.
 *
 * It can be ended from outside at any point (abort, time limit, give back, revoked lease); the first cause wins.
 */
export class Attempt {
  readonly claim: Claim;
  readonly slot: Slot;
  readonly key: string;
  /** Resolves when `run` has. */
  readonly ended: Promise<void>;
  readonly #parts: AttemptParts;
  readonly #plumbing: Plumbing;
  readonly #shipper: LogShipper;
  readonly #reports: Reports;
  readonly #noter: Noter;
  readonly #since: string;
  readonly #left: Leftover | undefined;
  readonly #ending: Ending;
  #pace: Pace | undefined;
  /** Still writes into the folder when it is not waited for any more. */
  #preparing: Promise<unknown> = Promise.resolve();
  /** Under way while a new session takes the attempt over: nothing is settled in between. */
  #adopting: Promise<unknown> = Promise.resolve();
  #end: (() => Outcome) | undefined;
  #resolveEnded = () => {};
  #isOver = false;

  /** An attempt that was just claimed. */
  static claimed(parts: AttemptParts, claim: Claim, slot: Slot): Attempt {
    const pipes = plumbing(parts, claim, slot);
    const [shipper, reports] = [new LogShipper(pipes), Reports.begin(pipes, claim.record)];
    return new Attempt(parts, claim, { plumbing: pipes, slot, shipper, reports });
  }

  /** One that an earlier run of this agent started. */
  static async adopted(parts: AttemptParts, claim: Claim, left: Leftover): Promise<Attempt> {
    const pipes = await resumedPlumbing(parts, claim, left.slot);
    const [shipper, reports] = await Promise.all([LogShipper.resume(pipes), Reports.resume(pipes, claim.record)]);
    return new Attempt(parts, claim, { plumbing: pipes, slot: left.slot, shipper, reports, left });
  }

  private constructor(parts: AttemptParts, claim: Claim, made: Made) {
    this.#parts = parts;
    this.claim = claim;
    this.slot = made.slot;
    this.key = keyOf(claim);
    this.#plumbing = made.plumbing;
    this.#shipper = made.shipper;
    this.#reports = made.reports;
    this.#left = made.left;
    this.#since = made.left?.start.at ?? new Date().toISOString();
    this.#noter = new Noter(parts.navvy.tasks.claims, claim, made.reports);
    this.#ending = new Ending({
      runner: parts.runner,
      key: this.key,
      ...{ cut: made.plumbing.cut, setup: made.plumbing.programs, control: made.plumbing.control },
      onAborting: () => (this.#noter.phase = "aborting"),
      onFailed: (error) => parts.config.log.error({ err: error, task: claim.id }, "could not kill"),
    });
    this.ended = new Promise((resolve) => (this.#resolveEnded = resolve));
  }

  /**
   * Runs the attempt to its end; never throws. The slot is free when it resolves.
   * @returns false when it is not known that its end stands on the record: whoever calls sees to that
   */
  async run(): Promise<boolean> {
    const { log } = this.#parts.config;
    try {
      const end = (this.#end = this.#left ? await this.#resume(this.#left) : await this.#live());
      if (isKept(this.#parts.config, end())) this.note("info", keptNote(this.#parts.config, this.key));
      await settle({
        claims: this.#parts.navvy.tasks.claims,
        claim: this.claim,
        collect: () => this.#collect(end),
        isRevoked: () => this.#plumbing.revoked.signal.aborted,
        log,
      });
      return true;
    } catch (error) {
      log.error({ err: error, task: this.claim.id, attempt: this.claim.attempt }, "attempt could not be settled");
      return this.#plumbing.revoked.signal.aborted;
    } finally {
      await this.#cleanUp();
      this.#resolveEnded();
    }
  }

  /** A wish to end it: SIGTERM, a grace in which reports and uploads are still taken, SIGKILL. */
  abort(reason: string, graceMs?: number): void {
    this.#ending.want({ kind: "aborted", reason, graceMs: graceMs ?? this.claim.record.spec.graceMs });
  }

  /** The spawner has begun to end it: its time limit is over, or its lease. */
  ending(by: string): void {
    this.#ending.name(causeOf(by, this.claim.record));
    this.#noter.phase = "aborting";
  }

  /** Back to its queue at once. */
  giveBack(reason: string): void {
    this.#ending.want({ kind: "given_back", reason });
  }

  /** The lease is gone: the tree is killed and nothing is recorded. `isOver`: the record went on without it, for sure. */
  revoke(reason: string, { isOver = false } = {}): void {
    this.#isOver ||= isOver;
    this.#plumbing.revoked.abort();
    this.#ending.want({ kind: "revoked", reason });
  }

  /** Runs on although its session was revoked (`onDisconnect: continue`): the new one takes it over, or it goes. */
  async goOn(owner: Owner): Promise<void> {
    const { id, attempt } = this.claim;
    const adopting = this.#parts.navvy.tasks.claims.adopt({ id, attempt, session: this.claim.owner.session }, owner);
    this.#adopting = adopting.catch(() => undefined);
    const adopted = await adopting;
    if (adopted) Object.assign(this.claim, adopted);
    else this.revoke("its task went on without it", { isOver: true });
  }

  /** It is not to end with the lease. Nobody else takes it, so what becomes of it is for this agent to say. */
  get runsOn(): boolean {
    return this.claim.record.onDisconnect === "continue";
  }

  /** Leaves it running for the agent that comes after this one, and looks at it no more. */
  async leave(): Promise<void> {
    await this.#pace?.stop();
    await this.#plumbing.companions.close();
    await this.#noter.settle();
  }

  get isUnstarted(): boolean {
    return this.#ending.stage === "before" || this.#ending.stage === "starting";
  }

  /** Its process runs, and is not being given back: another agent can take it up. */
  get canBeLeft(): boolean {
    const isGoing = this.#plumbing.revoked.signal.aborted || this.#ending.cause?.kind === "given_back";
    return this.#ending.stage === "running" && !isGoing;
  }

  /** What it printed and what of that is not stored yet. */
  spool = (): Pick<LogShipper, "waitingBytes" | "isHeld" | "squeeze"> => this.#shipper;

  note = (level: "info" | "warn", text: string) => this.#reports.note(level, text);

  get view(): Beat["running"][number] {
    const { progress } = this.#reports.reported;
    return runningView(this.claim, this.slot, { phase: this.#noter.phase, since: this.#since, progress });
  }

  async #live(): Promise<() => Outcome> {
    this.#noter.phase = "preparing";
    this.#pace = new Pace(() => this.#turn());
    try {
      // No reaper takes it back, so should this agent die the next one must know of it, from here on.
      if (this.runsOn) await this.#writeDown();
      const prepared = await this.#prepare();
      if (!this.#parts.isLeaseFresh(this.claim.owner))
        this.#ending.name({ kind: "given_back", reason: "the lease ran short before the start" });
      if (this.#ending.cause) return this.#neverRan();
      await this.#start(prepared);
    } catch (error) {
      if (this.#ending.cause) return this.#neverRan();
      const outcome = this.#plumbing.secrets.cleanOutcome(setupOutcome(error, this.#plumbing.setupLog.failedTail));
      return () => outcome;
    } finally {
      if (this.#ending.stage !== "running") await this.#pace.stop();
    }
    return this.#watch(this.#parts.runner.exited(this.key));
  }

  #neverRan(): () => Outcome {
    this.#ending.stage = "after";
    return () => outcomeOf({ code: null, signal: null }, this.#ending.cause, "");
  }

  #prepare(): Promise<Prepared> {
    const { bundles, repositories, environments, engines, images, inputs, api, config } = this.#parts;
    const { folder, setupLog, programs, secrets, cut } = this.#plumbing;
    const learn: Preparation["learn"] = (facts, options) => this.#noter.learn(facts, options);
    const shared = { bundles, repositories, environments, engines, images, inputs, api, config };
    const parts = { ...shared, programs, secrets, signal: cut.signal, setupLog, learn, slot: this.slot };
    const { underway, prepared } = prepareUntilCut(parts, this.claim, folder);
    this.#preparing = underway;
    return prepared;
  }

  async #start(prepared: Prepared): Promise<void> {
    const { config, runner, journal } = this.#parts;
    const spec = runSpecOf(config, this.claim, { slot: this.slot, folder: this.#plumbing.folder, prepared });
    await Promise.all([this.#writeDown(), this.#plumbing.companions.begin()]);
    if (this.#ending.cause) throw new NavvyError("aborted", `task ${this.claim.id} was ended before it started`);
    this.#ending.stage = "starting";
    const { pid } = await runner.start(spec);
    this.#ending.stage = "running";
    journal
      .append({ op: "pid", key: this.key, pid })
      .catch((error: unknown) => config.log.error({ err: error }, "the host journal can not be written"));
  }

  #writeDown(): Promise<void> {
    return this.#parts.journal.append(journalStart(this.claim, this.slot, this.#plumbing.folder));
  }

  /** Takes up what an earlier run of the agent left: it runs, it has ended meanwhile, or it was never started. */
  async #resume(left: Leftover): Promise<() => Outcome> {
    const { fate } = left;
    if ("outcome" in fate) return () => fate.outcome;
    this.#ending.stage = "running";
    await this.#plumbing.companions.begin();
    this.#pace = new Pace(() => this.#turn());
    const { abort } = this.claim.record;
    if (abort) this.abort(abort.reason, abort.graceMs);
    return this.#watch(fate.exited);
  }

  /** Watches the process to its end. */
  async #watch(exited: Promise<ProcessEnd>): Promise<() => Outcome> {
    if (!this.#ending.cause) this.#noter.phase = "executing";
    const end = await exited;
    this.#ending.stage = "after";
    if (end.endedBy !== undefined) this.#ending.name(causeOf(end.endedBy, this.claim.record));
    // Before another attempt can be claimed nothing of this one lives; after a success there is none.
    if (this.#ending.cause || end.code !== 0) await this.#parts.runner.kill(this.key);
    await Promise.all([this.#pace?.stop(), this.#plumbing.secrets.over()]);
    await this.#shipper.drain({ isOver: true });
    return () => outcomeOf(end, this.#ending.cause, this.#shipper.tail);
  }

  /** Takes in what the process printed and reported since the last turn. @returns whether there was any */
  async #turn(): Promise<boolean> {
    this.#noter.tick();
    const isRunning = this.#ending.stage === "running";
    if (!isRunning && this.#plumbing.setupLog.isEmpty) return true;
    try {
      const taken = async () => [isRunning && (await this.#plumbing.companions.turn()), isRunning && (await this.#reports.drain())];
      const moved = (await Promise.all([this.#shipper.drain(), taken()])).flat();
      return moved.includes(true);
    } catch (error) {
      if (!this.#plumbing.revoked.signal.aborted)
        this.#parts.config.log.warn({ err: error, task: this.claim.id }, "a report could not be taken in; it is tried again");
      return false;
    }
  }

  async #collect(outcomeNow: () => Outcome) {
    const { cut, setupLog, companions } = this.#plumbing;
    const parts = { companions, noter: this.#noter, reports: this.#reports, shipper: this.#shipper, setupLog, cut: cut.signal };
    const collected = await collect(parts, outcomeNow());
    await this.#adopting;
    return { outcome: outcomeNow(), ...collected };
  }

  /** Nobody waits for the journal here: an end that is lost is found out at the next start. */
  async #cleanUp(): Promise<void> {
    const { journal, runner, config } = this.#parts;
    await Promise.all([this.#shipper.close(), this.#reports.close(), this.#plumbing.companions.close()]);
    // Its record still names this agent, and no reaper takes it: the next start finds it in the journal and settles it.
    if (this.runsOn && this.#plumbing.revoked.signal.aborted && !this.#isOver) return;
    const end = { op: "end", key: this.key, at: new Date().toISOString() } as const;
    journal.append(end).catch((error: unknown) => config.log.error({ err: error }, "the host journal can not be written"));
    runner.release(this.key);
    const outcome = this.#plumbing.revoked.signal.aborted ? undefined : this.#end?.();
    void this.#preparing.then(() => endFolder(config, { ...this.#plumbing, key: this.key, outcome }));
  }
}
