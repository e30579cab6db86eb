import { isEnded, isNavvyError, NavvyError, parseCondition, type TaskRecord } from "../../protocol/index.js";
import { evaluate, parseExpression } from "../expression/index.js";
import type { StepState } from "../graph/step-state.js";
import { patiently } from "../patience.js";
import { type Context, hooked } from "./context.js";
import { judged, retryDelay } from "./judge.js";
import { Monitor } from "./monitor.js";
import { KEYS } from "./notebook.js";
import type { Member, StepRun } from "./step-run.js";
import { WaitLimit } from "./wait-limit.js";

/** Why a task that is not wanted any more was ended: in place of what its record says. */
interface Verdict {
  state: StepState;
  reason: string;
}

/**
 * Runs one member of a step to its end: rounds of its loop, tries of each round, each a task whose id derives from the run's, the
 * member's key, round and try. So a run that goes on after its process was lost finds every task that it made, and makes none twice.
 */
export class MemberRun {
  readonly #context: Context;
  readonly #run: StepRun;
  readonly #member: Member;
  readonly #onState: (before: StepState) => void;

  constructor(context: Context, parts: { run: StepRun; member: Member; onState: (before: StepState) => void }) {
    this.#context = context;
    this.#run = parts.run;
    this.#member = parts.member;
    this.#onState = parts.onState;
  }

  /** Resolves when the member is over, and that stands in the journal. `signal`: the rest of its matrix is not wanted any more. */
  async toEnd(signal: AbortSignal): Promise<void> {
    const { notebook } = this.#context;
    const before = notebook.ended(this.#member.key);
    if (before) {
      Object.assign(this.#member, before);
      return this.#copyUp(before.task);
    }
    let end: { state: StepState; reason?: string | undefined };
    try {
      end = (await this.#skippedByHook()) ?? (await this.#rounds(signal));
    } catch (error) {
      if (!isNavvyError(error)) throw error;
      end = { state: "failed", reason: said(error) };
    }
    end = await this.#after(end);
    this.#member.reason = end.reason;
    this.#setState(end.state);
    await notebook.end(this.#member);
  }

  /** A step whose hook fails has failed, whatever its task did. */
  async #after(end: { state: StepState; reason?: string | undefined }): Promise<typeof end> {
    try {
      await this.#hook("postExecute", end.state);
      return end;
    } catch (error) {
      if (!isNavvyError(error)) throw error;
      return { state: "failed", reason: said(error) };
    }
  }

  async #rounds(signal: AbortSignal): Promise<Verdict | { state: StepState; reason?: string | undefined }> {
    const { until } = this.#run.step;
    let before: TaskRecord | undefined;
    for (this.#member.round = 1; ; this.#member.round++) {
      const { record, verdict } = await this.#tries(before, signal);
      before = record;
      if (!until || verdict.state !== "completed" || !record) return verdict;
      const condition = parseExpression(until.condition);
      const scope = await this.#context.views.scope(this.#context.plan.usesOf(this.#run), {
        run: this.#run,
        member: this.#member,
        own: record,
      });
      if (evaluate(condition, scope) === true || this.#member.round >= until.limit) return verdict;
    }
  }

  /** @param before its task of the round before */
  async #tries(
    before: TaskRecord | undefined,
    signal: AbortSignal,
  ): Promise<{ record?: TaskRecord; verdict: { state: StepState; reason?: string | undefined } }> {
    const { step } = this.#run;
    let delayMs = 0;
    for (this.#member.tries = 1; ; this.#member.tries++) {
      const { record, verdict, cause } = await this.#attempt({ before, delayMs }, signal);
      const again = retryDelay(step.retry, this.#member.tries, cause);
      if (again === undefined || (signal.aborted && !this.#context.notebook.isResumed)) return { verdict, ...(record ? { record } : {}) };
      delayMs = again;
    }
  }

  /** One task, from its making to its end. */
  async #attempt({ before, delayMs }: { before: TaskRecord | undefined; delayMs: number }, signal: AbortSignal) {
    const { views } = this.#context;
    const sent = await this.#sent({ before, delayMs }, signal);
    if (sent.hit) {
      this.#member.task = sent.hit.id;
      views.hold(sent.hit);
      await this.#copyUp(sent.hit.id);
      return { record: sent.hit, verdict: { state: "cached" as const, reason: `taken from task ${sent.hit.id}` } };
    }
    if (!sent.record) return { verdict: { state: "aborted" as const, reason: reasonOf(signal) } };
    this.#member.task = sent.record.id;
    this.#context.notebook.begin(this.#member);
    const { record, wanted } = await this.#follow(sent.record, signal);
    views.hold(record);
    const { cause, ...verdict } = judged(record);
    return { record, verdict: wanted && verdict.state !== "completed" ? wanted : verdict, cause };
  }

  /** Its task on its way, or one whose result stands for it; neither: it is not wanted any more. */
  async #sent(
    of: { before: TaskRecord | undefined; delayMs: number },
    signal: AbortSignal,
  ): Promise<{ record?: TaskRecord; hit?: TaskRecord }> {
    const { navvy, notebook, gate } = this.#context;
    const made = notebook.isResumed ? await this.#madeBefore() : undefined;
    if (made && made.status !== "draft") return { record: made };
    while (!signal.aborted) {
      const { other, ...sent } = await gate.through(() => this.#send(of, signal));
      if (!other) return sent;
      // It may take long: outside of the gate, and by whoever else's bell.
      await this.#othersEnd(other.id, signal);
    }
    return made ? { record: (await patiently(() => navvy.tasks.abort(made.id, { reason: reasonOf(signal) }))).task } : {};
  }

  /** The task that an earlier process of this run made at this very point. */
  async #madeBefore(): Promise<TaskRecord | undefined> {
    const { navvy, own } = this.#context;
    const id = navvy.tasks.idOf({ parent: own.record.id, key: this.#key() });
    return (await patiently(() => navvy.tasks.bucket.get(id)))?.value;
  }

  async #send({ before, delayMs }: { before: TaskRecord | undefined; delayMs: number }, signal: AbortSignal) {
    const { navvy, launcher, plan, cache } = this.#context;
    const child = await launcher.child(
      { run: this.#run, member: this.#member, ...(before ? { own: before } : {}) },
      plan.usesOf(this.#run),
    );
    child.task.key = this.#key();
    if (this.#run.step.cache !== "off") {
      const found = await cache.look({ run: this.#run, member: this.#member, child });
      if (found) return isEnded(found.status) ? { hit: found } : { other: found };
    }
    if (signal.aborted) return {};
    const options = { ...child.options, ...(child.template ? { template: child.template } : {}), ...(delayMs > 0 ? { delayMs } : {}) };
    return { record: await patiently(() => navvy.tasks.submit(child.task, options)) };
  }

  /** Waits for a task of another controller, as long as it is of use. */
  async #othersEnd(id: string, signal: AbortSignal): Promise<void> {
    const { navvy, children, activity } = this.#context;
    await activity.quiet(() => Promise.race([children.ended(id), navvy.tasks.wait(id, { signal })]).catch(() => undefined));
    children.forget(id);
  }

  /** Waits for a task's end, and ends it where the graph says so. */
  async #follow(sent: TaskRecord, signal: AbortSignal): Promise<{ record: TaskRecord; wanted: Verdict | undefined }> {
    const { navvy, children, activity } = this.#context;
    const { id } = sent; // the record itself is not to be held as long as it runs: there may be thousands
    const { step } = this.#run;
    // While it is to be looked at, or to be ended at a time, this process is needed.
    // Figures of a pipeline are copied up at its end: it may need this very slot.
    const isWatched = step.monitors?.metrics.length && step.action.kind !== "pipeline";
    const isParkable = step.earlyStop === undefined && step.waitLimitMs === undefined && !isWatched;
    const monitor = new Monitor(this.#context, this.#run, this.#member);
    const condition = step.earlyStop === undefined ? undefined : parseCondition(step.earlyStop);
    let wanted: Verdict | undefined;
    const end = (verdict: Verdict) => {
      if (wanted) return;
      wanted = verdict;
      void patiently(() => navvy.tasks.abort(id, { reason: verdict.reason })).catch(() => undefined); // it has ended meanwhile
    };
    const limit = new WaitLimit(step.waitLimitMs, (reason) => end({ state: "failed", reason }));
    const onAbort = () => end({ state: "aborted", reason: reasonOf(signal) });
    const onChange = (record: TaskRecord) => {
      limit.see(record);
      this.#setState(record.status === "running" ? "running" : "queued");
      monitor.see(record);
      activity.see(record.id, record);
      if (condition?.meets(record)) end({ state: "aborted", reason: `stopped early: ${step.earlyStop}` });
    };
    onChange(sent);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
    try {
      const record = await activity.quiet(() => children.ended(id, onChange), { isParkable: isParkable && !signal.aborted });
      monitor.see(record);
      monitor.end(record);
      return { record, wanted };
    } finally {
      limit.close();
      activity.see(id);
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Of its task, within the run: unique, and the same whenever this point is reached again. */
  #key(): string {
    const { key, round, tries } = this.#member;
    const again = this.#context.notebook.again(this.#run.name);
    const begun = this.#context.round;
    return `${begun > 0 ? `${begun}/` : ""}${key}${round > 1 ? `#${round}` : ""}${tries > 1 ? `~${tries}` : ""}${again > 0 ? `+${again}` : ""}`;
  }

  /** What a step was to copy up may have been lost with the process that did. */
  async #copyUp(task: string | undefined): Promise<void> {
    if (!this.#run.step.monitors || task === undefined) return;
    const entry = await patiently(() => this.#context.navvy.tasks.bucket.get(task));
    if (!entry) return;
    const monitor = new Monitor(this.#context, this.#run, this.#member);
    monitor.see(entry.value);
    monitor.end(entry.value);
  }

  async #skippedByHook(): Promise<Verdict | undefined> {
    const { hooks, notebook } = this.#context;
    const preExecute = hooks.get(this.#run.name)?.preExecute;
    if (!preExecute) return undefined;
    const goes = await notebook.once(KEYS.hook("preExecute", this.#member.key), async () => {
      return (await asked("preExecute", this.#run.name, () => preExecute(hooked(this.#run, this.#member)))) !== false;
    });
    return goes === false ? { state: "skipped", reason: "preExecute said so" } : undefined;
  }

  async #hook(name: "postExecute", state: StepState): Promise<void> {
    const hook = this.#context.hooks.get(this.#run.name)?.[name];
    if (!hook || state === "skipped") return;
    await this.#context.notebook.once(KEYS.hook(name, this.#member.key), async () => {
      await asked(name, this.#run.name, () => hook({ ...hooked(this.#run, this.#member), state }));
      return true;
    });
  }

  #setState(state: StepState): void {
    const before = this.#member.state;
    if (before === state) return;
    this.#member.state = state;
    this.#onState(before);
  }
}

/** What a hook says. @throws NavvyError invalid_argument: it threw */
async function asked(hook: string, step: string, ask: () => unknown): Promise<unknown> {
  try {
    return await ask();
  } catch (cause) {
    throw new NavvyError("invalid_argument", `${hook} of step ${step} threw: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

function reasonOf(signal: AbortSignal): string {
  return signal.reason instanceof Error ? signal.reason.message : String(signal.reason);
}

function said({ message, why }: NavvyError): string {
  return why === undefined ? message : `${message}: ${why}`;
}
