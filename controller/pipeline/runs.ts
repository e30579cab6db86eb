import type { Navvy } from "../../broker/index.js";
import { isEnded, NavvyError, type ParameterValue, SERVICES_QUEUE, type TaskRecord } from "../../protocol/index.js";
import { checkGraph } from "../graph/check.js";
import type { Graph, NewGraph, Step } from "../graph/graph.js";
import { checkParameters } from "../graph/parameters.js";
import { isStepOver, type StepState } from "../graph/step-state.js";
import { patiently } from "../patience.js";
import { CONTROLLER_LOST_LIMIT } from "../remote.js";
import { untilEnded, type WaitForOptions } from "../wait.js";
import { type Approval, mayApprove } from "./approval.js";
import { leaveLine } from "./group.js";
import { judged } from "./judge.js";
import { KEYS, stepOf } from "./notebook.js";
import { graphInput } from "./program.js";
import type { MemberNote } from "./step-run.js";

/** The tag of every controller of a pipeline. */
export const PIPELINE_TAG = "pipeline";

/** A step of a run, for people. */
export interface StepSummary {
  name: string;
  stage: string | undefined;
  state: StepState;
  reason: string | undefined;
  /** Of its tasks: by member, in order. */
  members: (MemberNote & { key: string })[];
}

/** A run of a pipeline as others see it: by its controller's task. */
export class PipelineRun {
  readonly #navvy: Navvy;
  #record: TaskRecord;

  constructor(navvy: Navvy, record: TaskRecord) {
    this.#navvy = navvy;
    this.#record = record;
  }

  /** @throws NavvyError not_found, ambiguous */
  static async get(navvy: Navvy, reference: string): Promise<PipelineRun> {
    return new PipelineRun(navvy, await patiently(() => navvy.tasks.get(reference)));
  }

  /**
   * A controller's task for a graph, which needs no program of its own.
   * @throws NavvyError invalid_argument: what is wrong with the graph or the parameters
   */
  static async create(navvy: Navvy, given: NewGraph, options: { parameters?: Record<string, ParameterValue>; tags?: string[] } = {}) {
    const { graph } = checkGraph(given);
    const parameters = checkParameters(graph, options.parameters ?? {});
    const record = await patiently(async () =>
      navvy.tasks.create({
        name: graph.name,
        project: graph.project,
        taskType: "controller",
        tags: [PIPELINE_TAG, ...graph.tags, ...(options.tags ?? [])],
        spec: { command: ["navvy", "pipeline", "execute"], inputs: await graphInput(navvy, graph), lostLimit: CONTROLLER_LOST_LIMIT },
        parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [`General/${name}`, value])),
      }),
    );
    return new PipelineRun(navvy, record);
  }

  get id(): string {
    return this.#record.id;
  }
  get record(): Readonly<TaskRecord> {
    return this.#record;
  }

  async reload(): Promise<this> {
    this.#record = await patiently(() => this.#navvy.tasks.get(this.id));
    return this;
  }

  async enqueue(queue: string = SERVICES_QUEUE): Promise<this> {
    this.#record = await patiently(() => this.#navvy.tasks.enqueue(this.id, { queue }));
    return this;
  }

  /** Resolves when it has ended, however. @throws NavvyError timeout, aborted, not_found */
  async wait(options: WaitForOptions = {}): Promise<this> {
    this.#record = await untilEnded(this.#navvy, this.id, options);
    return this;
  }

  /** Asks for its end; what it runs is ended with it. */
  async stop(reason = "the pipeline was stopped"): Promise<this> {
    this.#record = (await this.#navvy.tasks.abort(this.id, { reason })).task;
    return this;
  }

  /** A draft that does the same again, with other parameters where they are given. */
  async clone(parameters: Record<string, ParameterValue> = {}): Promise<PipelineRun> {
    const named = Object.fromEntries(
      Object.entries(parameters).map(([name, value]) => [name.includes("/") ? name : `General/${name}`, value]),
    );
    return new PipelineRun(this.#navvy, await patiently(() => this.#navvy.tasks.clone(this.id, { parameters: named })));
  }

  /** What it runs; undefined until its controller has begun. */
  async graph(): Promise<Graph | undefined> {
    const noted = await this.#navvy.journals.of(this.id).get(KEYS.graph);
    return noted?.value as unknown as Graph | undefined;
  }

  /** Its number, once it has begun. */
  async number(): Promise<number | undefined> {
    const noted = await this.#navvy.journals.of(this.id).get(KEYS.run);
    return (noted?.value as { number?: number } | undefined)?.number;
  }

  /** How far its steps are. */
  async steps(): Promise<StepSummary[]> {
    const notes = await this.#navvy.journals.of(this.id).entries();
    const graph = notes.get(KEYS.graph)?.value as unknown as Graph | undefined;
    const members = new Map<string, (MemberNote & { key: string })[]>();
    for (const { key, value } of notes.values()) {
      if (!key.startsWith("step:")) continue;
      const member = key.slice("step:".length);
      const name = stepOf(member);
      members.set(name, [...(members.get(name) ?? []), { key: member, ...(value as unknown as MemberNote) }]);
    }
    const asked = (name: string) => notes.has(KEYS.asked(name)) && !notes.has(KEYS.approval(name)) && !isEnded(this.#record.status);
    return Promise.all(
      [...(graph?.steps ?? []), ...(graph?.finally ?? [])].map(async (step) =>
        summaryOf(step, await this.#now(members.get(step.name) ?? []), asked(step.name)),
      ),
    );
  }

  /** Of those that are on their way, what their tasks say. */
  async #now(members: (MemberNote & { key: string })[]) {
    const inOrder = members.sort((a, b) => a.key.localeCompare(b.key, undefined, { numeric: true }));
    return Promise.all(
      inOrder.map(async (member) => {
        if (isStepOver(member.state) || member.task === undefined) return member;
        const record = (await this.#navvy.tasks.bucket.get(member.task))?.value;
        if (record?.status === "running" || record?.status === "queued") return { ...member, state: record.status };
        if (!record || !isEnded(record.status)) return member;
        const { state, reason } = judged(record);
        return { ...member, state, ...(reason === undefined ? {} : { reason }) };
      }),
    );
  }

  /**
   * Says yes or no for a step that waits for it.
   * @throws NavvyError not_found (no such step, or it waits for nobody), permission_denied (it is not for this person to say), conflict
   */
  async approve(name: string, word: Approval = { isApproved: true }): Promise<void> {
    const graph = await this.graph();
    const step = [...(graph?.steps ?? []), ...(graph?.finally ?? [])].find((each) => each.name === name);
    if (!step?.approve) throw await this.#nothingToApprove(name, graph);
    const { actor } = this.#navvy.bus;
    if (!mayApprove(step, actor)) {
      throw new NavvyError("permission_denied", `${actor} may not say whether step ${name} goes on`, {
        fix: `ask ${step.approve.who.join(" or ")}`,
      });
    }
    const journal = this.#navvy.journals.of(this.id);
    const noted = await journal.put(KEYS.approval(name), word as unknown as ParameterValue);
    await this.#navvy.tasks.unpark(this.id, `step ${name} was ${word.isApproved ? "approved" : "refused"} by ${noted.by}`);
    if ((noted.value as unknown as Approval).isApproved === word.isApproved) return;
    throw new NavvyError("conflict", `${noted.by} has ${word.isApproved ? "refused" : "approved"} step ${name} already, at ${noted.at}`);
  }

  async #nothingToApprove(name: string, graph: Graph | undefined): Promise<NavvyError> {
    const waiting = (graph?.steps ?? []).filter((step) => step.approve).map((step) => step.name);
    return new NavvyError("not_found", `step ${name} of run ${this.id} waits for nobody's approval`, {
      why: graph ? `steps that do: ${waiting.join(", ") || "none"}` : "its controller has not begun",
    });
  }

  /**
   * Runs again what did not succeed and all that comes after it; what has finished stays finished. `from`: that step and what comes
   * after it, whatever became of them.
   * @throws NavvyError illegal_move (it goes on, or there is nothing to run again), not_found (no such step)
   */
  async retry(options: { from?: string } = {}): Promise<string[]> {
    await this.reload();
    const graph = await this.graph();
    if (!graph || !isEnded(this.#record.status) || this.#record.spec.command.length === 0) throw notToRetry(this.#record);
    const names = stepsToRetry(graph, await this.steps(), options.from);
    if (names.length === 0) {
      throw new NavvyError("illegal_move", `every step of run ${this.id} has succeeded`, { fix: "--from STEP to run some of them again" });
    }
    const journal = this.#navvy.journals.of(this.id);
    const notes = await journal.entries();
    for (const name of names) {
      await journal.set(KEYS.again(name), Number(notes.get(KEYS.again(name))?.value ?? 0) + 1);
      const own = [...notes.keys()].filter((key) => isOf(key, name));
      await Promise.all(own.map((key) => journal.delete(key)));
    }
    const begun = notes.get(KEYS.run)?.value as Record<string, ParameterValue> | undefined;
    await journal.set(KEYS.run, { ...begun, limitFrom: new Date().toISOString() });
    if (graph.concurrency) await leaveLine(this.#navvy, graph.concurrency.group, this.id);
    await this.#navvy.tasks.reset(this.id, { keepsJournal: true });
    await this.enqueue(this.#record.queue);
    return names;
  }
}

/** Whether a key of the journal belongs to one step, and is to go when that runs again. */
function isOf(key: string, step: string): boolean {
  const [kind = "", name = ""] = key.split(/:(.*)/s);
  return kind !== "again" && kind !== "user" && stepOf(name) === step && key.includes(":");
}

function summaryOf(step: Step, members: StepSummary["members"], isAsked: boolean): StepSummary {
  const order: StepState[] = ["failed", "aborted", "running", "queued", "waiting", "pending", "completed", "cached", "skipped"];
  const worst = order.find((state) => members.some((member) => member.state === state));
  const state = worst ?? (isAsked ? "waiting" : "pending");
  const reason = members.find((member) => member.state === state)?.reason;
  return { name: step.name, stage: step.stage, state, reason, members };
}

/** Those that did not succeed, or the one named, and all that depend on them. @throws NavvyError not_found */
function stepsToRetry(graph: Graph, steps: StepSummary[], from: string | undefined): string[] {
  const all = [...graph.steps, ...graph.finally];
  if (from !== undefined && !all.some((step) => step.name === from)) {
    throw new NavvyError("not_found", `pipeline ${graph.name} has no step ${from}`, {
      why: `it has: ${all.map((step) => step.name).join(", ")}`,
    });
  }
  const checked = checkGraph(graph);
  const again = new Set(from === undefined ? steps.filter(isBad).map(({ name }) => name) : [from]);
  for (const name of checked.order) if (checked.parentsOf(name).some((parent) => again.has(parent))) again.add(name);
  if (again.size > 0) for (const step of graph.finally) again.add(step.name);
  return [...again];
}

/** What was left out on purpose has not failed. */
function isBad({ state, reason }: StepSummary): boolean {
  if (state === "skipped") return !/^(?:when:|preExecute )/.test(reason ?? "");
  return state !== "completed" && state !== "cached";
}

function notToRetry({ id, status }: TaskRecord): NavvyError {
  const isOver = isEnded(status);
  return new NavvyError("illegal_move", `run ${id} is ${status}, so nothing of it can be run again`, {
    ...(isOver
      ? { why: "its controller never began, was started by hand, or is no pipeline's" }
      : { fix: `navvy pipeline abort ${id.slice(-8)}, or wait for its end` }),
  });
}
