import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PipelineController, type StepSummary } from "../../controller/index.js";
import { controllerFleet } from "../support/controller-fleet.js";
import { eventually } from "../support/eventually.js";

let fleet: Awaited<ReturnType<typeof controllerFleet>>;
beforeAll(async () => {
  fleet = await controllerFleet({ slots: 4 });
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

const WAIT = { timeoutMs: 60_000 };
let count = 0;

/** A pipeline that runs here to its end. */
async function run(
  define: (pipeline: PipelineController) => void,
  options: Partial<ConstructorParameters<typeof PipelineController>[0]> = {},
) {
  const pipeline = new PipelineController({ name: `run-${++count}`, ...options });
  define(pipeline);
  await pipeline.startLocally();
  return pipeline;
}

async function states(pipeline: PipelineController): Promise<Record<string, string>> {
  return Object.fromEntries((await pipeline.getSteps()).map(({ name, state }) => [name, state]));
}

const reasons = (steps: StepSummary[]) => Object.fromEntries(steps.map(({ name, reason }) => [name, reason]));
const children = async (pipeline: PipelineController) => fleet.navvy.tasks.list({ parent: pipeline.id ?? "" });

afterAll(() => {
  process.exitCode = 0; // a pipeline that failed makes its process fail: here that is what was tried
});

describe("a step that fails", () => {
  test("fails its pipeline and keeps those back that need it; what does not need it runs, and those that ask for failures", async () => {
    const pipeline = await run((it) => {
      it.addStep({ name: "bad", script: "exit 3" });
      it.addStep({ name: "after", script: "true", parents: ["bad"] });
      it.addStep({ name: "other", script: "true" });
      it.addStep({ name: "alarm", script: "true", parents: ["bad"], when: "failure()" });
      it.addStep({ name: "report", script: "true", parents: ["after"], when: "always()" });
      it.addFinally({ name: "clean", script: "true" });
    });
    await pipeline.wait(WAIT);
    expect(pipeline.isSuccessful()).toBe(false);
    expect(await states(pipeline)).toEqual({
      bad: "failed",
      after: "skipped",
      other: "completed",
      alarm: "completed",
      report: "completed",
      clean: "completed",
    });
    expect(reasons(await pipeline.getSteps())["after"]).toBe("step bad before it failed");
  });

  test("is passed over where it may fail, or skips only what comes after it", async () => {
    const pipeline = await run((it) => {
      it.addStep({ name: "loose", script: "exit 3", continueOnFail: true });
      it.addStep({ name: "goes-on", script: "true", parents: ["loose"] });
      it.addStep({ name: "optional", script: "exit 4", skipChildrenOnFail: true });
      it.addStep({ name: "left-out", script: "true", parents: ["optional"] });
      it.addStep({ name: "not-wanted", script: "true", when: "params.deep" });
      it.addParameter("deep", { type: "bool", default: false });
    });
    await pipeline.wait(WAIT);
    expect(pipeline.isSuccessful()).toBe(true);
    expect(await states(pipeline)).toEqual({
      loose: "failed",
      "goes-on": "completed",
      optional: "failed",
      "left-out": "skipped",
      "not-wanted": "skipped",
    });
  });

  test("is tried again as often as it may be, for the causes that it may be, each time as a task of its own", async () => {
    const pipeline = await run((it) => {
      it.addStep({
        name: "flaky",
        script: 'test "$NAVVY_TRY" = 2 || test -e "$FLAG" || { touch "$FLAG"; exit 1; }',
        env: { FLAG: `${fleet.folder}/flag` },
        retry: { limit: 2, backoffMs: 10 },
      });
      it.addStep({ name: "hopeless", script: "exit 5", retry: { limit: 1, backoffMs: 10 } });
      it.addStep({ name: "unforgiven", script: "exit 6", retry: { limit: 5, backoffMs: 10, on: ["lost"] } });
    });
    await pipeline.wait(WAIT);
    const steps = await pipeline.getSteps();
    expect(steps.map(({ name, state, members }) => [name, state, members[0]?.tries])).toEqual([
      ["flaky", "completed", 2],
      ["hopeless", "failed", 2],
      ["unforgiven", "failed", 1],
    ]);
    expect((await children(pipeline)).map(({ name }) => name).sort()).toEqual(["flaky", "flaky", "hopeless", "hopeless", "unforgiven"]);
  });

  test("ends all that runs where the first failure is to", async () => {
    const pipeline = await run(
      (it) => {
        it.addStep({ name: "long", script: "sleep 60" });
        it.addStep({ name: "bad", script: "sleep 0.5; exit 1" });
        it.addFinally({ name: "clean", script: "true" });
      },
      { abortOnFailure: true },
    );
    await pipeline.wait(WAIT);
    expect(await states(pipeline)).toEqual({ long: "aborted", bad: "failed", clean: "completed" });
  });

  test("names what it lacked: an artifact that was never written, a queue's limit, a time limit", async () => {
    const pipeline = await run((it) => {
      it.addStep({ name: "empty", script: "true" });
      it.addStep({ name: "reader", script: "cat ${empty.artifacts.data.path}" });
      it.addStep({ name: "stuck", script: "true", queue: "nobody-there", waitLimitMs: 2_500 });
      it.addStep({ name: "slow", script: "sleep 60", timeLimitMs: 300 });
    });
    await pipeline.wait(WAIT);
    expect(await states(pipeline)).toEqual({ empty: "completed", reader: "failed", stuck: "failed", slow: "failed" });
    const said = reasons(await pipeline.getSteps());
    expect(said["reader"]).toContain("data");
    expect(said["stuck"]).toContain("stood on its queue for more than 2.5 s");
    const own = await fleet.navvy.tasks.get(pipeline.id ?? "");
    expect(own.reported.notes.map(({ text }) => text).join("\n")).toContain(
      "waits on queue nobody-there, and no agent that is up serves it",
    );
  });
});

describe("many of a kind", () => {
  test("a matrix makes a task for each combination, no more at once than allowed, and gives the best", async () => {
    const pipeline = await run((it) => {
      it.addParameter("lrs", { default: [1, 3, 2] });
      it.addStep({
        name: "train",
        matrix: { lr: "${params.lrs}", seed: [0] },
        maxParallel: 1,
        parameters: { "General/lr": "${matrix.lr}" },
        script: 'echo acc=json:$NAVVY_PARAM_LR >> "$NAVVY_OUTPUT"',
      });
      it.addStep({
        name: "pick",
        script:
          'echo "best=${steps.train.best(outputs.acc).outputs.acc} of ${join(steps.train.map(task, outputs.acc), \'+\')}" >> "$NAVVY_OUTPUT"',
      });
    });
    await pipeline.wait(WAIT);
    expect(reasons(await pipeline.getSteps())).toEqual({ train: undefined, pick: undefined });
    const all = await children(pipeline);
    expect(all.map(({ name }) => name).sort()).toEqual(["pick", "train[lr=1,seed=0]", "train[lr=2,seed=0]", "train[lr=3,seed=0]"]);
    const ran = all.filter(({ name }) => name.startsWith("train")).sort((a, b) => (a.createdAt < b.createdAt ? -1 : 1));
    expect(all.find(({ name }) => name === "pick")?.reported.outputs).toEqual({ best: "3 of 1+3+2" });
    for (const [at, task] of ran.entries()) expect((ran[at - 1]?.endedAt ?? "") <= task.createdAt).toBe(true);
  });

  test("a member that fails ends the others, unless they may go on", async () => {
    const pipeline = await run((it) => {
      const script = 'test "$NAVVY_PARAM_N" != 1 || exit 1; sleep "$NAVVY_PARAM_S"';
      const common = { script, matrix: { n: [0, 1] }, onFailure: "continue" as const };
      it.addStep({ name: "fast", ...common, parameters: { "General/n": "${matrix.n}", "General/s": 60 } });
      it.addStep({ name: "all", ...common, failFast: false, parameters: { "General/n": "${matrix.n}", "General/s": 0 } });
    });
    await pipeline.wait(WAIT);
    const steps = await pipeline.getSteps();
    expect(steps.map(({ name, members }) => [name, ...members.map(({ state }) => state)])).toEqual([
      ["fast", "aborted", "failed"],
      ["all", "completed", "failed"],
    ]);
  });

  test("a loop runs again until its condition holds, and no more often than it may", async () => {
    const pipeline = await run((it) => {
      const script = 'echo n=json:$NAVVY_PARAM_N >> "$NAVVY_OUTPUT"';
      const parameters = { "General/n": "${round}" };
      it.addStep({ name: "until", script, parameters, until: { condition: "steps.until.outputs.n >= 3", limit: 9 } });
      it.addStep({ name: "limit", script, parameters, until: { condition: "false", limit: 2 } });
      const doubled = { "General/n": "${default(steps.doubles.outputs.n, 1) * 2}" };
      it.addStep({ name: "doubles", script, parameters: doubled, until: { condition: "steps.doubles.outputs.n >= 8", limit: 9 } });
    });
    await pipeline.wait(WAIT);
    const steps = await pipeline.getSteps();
    expect(steps.map(({ name, state, members }) => [name, state, members[0]?.round])).toEqual([
      ["until", "completed", 3],
      ["limit", "completed", 2],
      ["doubles", "completed", 3],
    ]);
  });
});

describe("what a program and people have a say in", () => {
  test("hooks: one before may skip, one after sees how it ended, and every change is told", async () => {
    const seen: string[] = [];
    const pipeline = await run((it) => {
      it.addStep({ name: "no", script: "true", preExecute: () => false });
      it.addStep({
        name: "yes",
        script: "exit 2",
        onFailure: "continue",
        preExecute: () => true,
        postExecute: ({ name, state }) => seen.push(`${name} ${state}`),
        onStatusChange: ({ state }, before) => seen.push(`${before} → ${state}`),
      });
    });
    await pipeline.wait(WAIT);
    expect(await states(pipeline)).toEqual({ no: "skipped", yes: "failed" });
    expect(seen).toContain("yes failed");
    expect(seen.at(-1)).toMatch(/→ failed$/);
  });

  test("a hook that throws makes its step fail, says so, and costs nothing else", async () => {
    const thrower = () => {
      throw new Error("no luck");
    };
    const pipeline = await run((it) => {
      it.addStep({ name: "before", script: "true", preExecute: thrower });
      it.addStep({ name: "after", script: "true", postExecute: thrower });
      it.addStep({ name: "told", script: "true", onStatusChange: thrower });
    });
    await pipeline.wait(WAIT);
    expect(await states(pipeline)).toEqual({ before: "failed", after: "failed", told: "completed" });
    const said = reasons(await pipeline.getSteps());
    expect([said["before"], said["after"]]).toEqual([
      "preExecute of step before threw: no luck",
      "postExecute of step after threw: no luck",
    ]);
    expect(await children(pipeline)).toHaveLength(2);
  });

  test("a step waits for a person's word: yes, no, none in time, and not from everyone", async () => {
    const pipeline = await run((it) => {
      it.addStep({ name: "deploy", script: "true", approve: {} });
      it.addStep({ name: "drop", script: "true", approve: {}, onFailure: "continue" });
      it.addStep({ name: "late", script: "true", approve: { timeLimitMs: 200 }, onFailure: "continue" });
      it.addStep({ name: "hers", script: "true", approve: { who: ["maria"], timeLimitMs: 5_000 }, onFailure: "continue" });
    });
    const remote = await eventually("both wait", async () => {
      const steps = await pipeline.getSteps();
      return steps.filter(({ state }) => state === "waiting").length >= 3 ? PipelineController.get(pipeline.id ?? "") : undefined;
    });
    await remote.approve("deploy");
    await remote.approve("drop", { isApproved: false, comment: "not today" });
    await expect(remote.approve("deploy", { isApproved: false })).rejects.toMatchObject({ code: "conflict" });
    await expect(remote.approve("hers")).rejects.toMatchObject({ code: "permission_denied", fix: ["ask maria"] });
    await expect(remote.approve("nothing")).rejects.toMatchObject({ code: "not_found" });
    await pipeline.wait(WAIT);
    expect(await states(pipeline)).toEqual({ deploy: "completed", drop: "failed", late: "failed", hers: "failed" });
    expect(reasons(await pipeline.getSteps())["drop"]).toMatch(/refused it: not today$/);
  });

  test("a pipeline that takes too long, or is stopped, ends what runs and begins nothing more", async () => {
    const define = (it: PipelineController) => {
      it.addStep({ name: "long", script: "sleep 60" });
      it.addStep({ name: "next", script: "true", parents: ["long"] });
    };
    const late = await run(define, { timeLimitMs: 1_500 });
    const stopped = await run(define);
    await eventually("it runs", async () => (await states(stopped))["long"] === "running");
    await stopped.stop("enough");
    await late.wait(WAIT);
    await stopped.wait(WAIT);
    for (const pipeline of [late, stopped]) expect(await states(pipeline)).toEqual({ long: "aborted", next: "skipped" });
    expect(reasons(await late.getSteps())["long"]).toBe("the pipeline took longer than 1.5 s");
    expect(reasons(await stopped.getSteps())["long"]).toBe("enough");
  });
});
