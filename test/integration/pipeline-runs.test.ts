import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PipelineController, type PipelineOptions, PipelineRun, type TaskStepOptions } from "../../controller/index.js";
import type { TaskRecord } from "../../protocol/index.js";
import { byHand, controllerFleet, program } from "../support/controller-fleet.js";
import { eventually } from "../support/eventually.js";

let fleet: Awaited<ReturnType<typeof controllerFleet>>;
beforeAll(async () => {
  fleet = await controllerFleet({ slots: 4 });
}, 60_000);
afterAll(async () => {
  process.exitCode = 0;
  await fleet[Symbol.asyncDispose]();
});

const WAIT = { timeoutMs: 60_000 };
const states = async (run: { steps(): Promise<{ name: string; state: string }[]> }) =>
  Object.fromEntries((await run.steps()).map(({ name, state }) => [name, state]));

const PIPELINE = `
  const pipeline = new PipelineController({ name: "remote", project: "sent" });
  pipeline.addParameter("n", { default: 2, type: "int" });
  pipeline.addFunctionStep({
    name: "double",
    function: async ({ n }) => ({ twice: n * 2, bytes: new Uint8Array([1, 2, 3]), map: { n } }),
    arguments: { n: "\${pipeline.n}" },
    returns: ["twice", "bytes", "map"],
    monitors: { artifacts: ["map"] },
  });
  pipeline.addStep({ name: "use", script: 'echo got=json:\${double.outputs.twice} >> "$NAVVY_OUTPUT"; wc -c < \${double.artifacts.bytes.path}' });
  pipeline.addStep({ name: "gated", script: 'test -e "$GATE"', env: { GATE: process.env.GATE ?? "\${pipeline.gate}" } });
  pipeline.addParameter("gate", { default: "/" });
  await pipeline.start({ parameters: process.env.GATE ? { gate: process.env.GATE } : {} });
  await pipeline.wait();
  console.log("successful", pipeline.isSuccessful());`;

describe("a pipeline on the services queue", () => {
  test("its program is sent there, runs functions as tasks, and by hand it waits for it; what failed is run again alone", async () => {
    const file = await program(fleet.folder, `import { PipelineController } from "navvy/controller";\n${PIPELINE}`);
    const gate = join(fleet.folder, "gate");
    const first = await byHand(file, fleet.nats, { env: { NAVVY_SERVER: fleet.nats.url, GATE: gate } });
    expect([first.exitCode, first.stdout], first.stderr).toEqual([0, "successful false"]);
    const [record] = await fleet.navvy.tasks.list({ name: "remote" });
    const run = await PipelineController.get(record?.id ?? "");
    expect([record?.status, await states(run)]).toEqual(["failed", { double: "completed", use: "completed", gated: "failed" }]);
    expect(record?.reported.artifacts.map(({ name }) => name)).toEqual(["double/map"]);
    const use = (await fleet.navvy.tasks.list({ parent: run.id })).find(({ name }) => name === "use");
    expect(use?.reported.outputs).toEqual({ got: 4 });

    await writeFile(gate, "");
    expect(await run.retry()).toEqual(["gated"]);
    await run.wait(WAIT);
    expect([run.record.status, await run.number()]).toEqual(["completed", 1]);
    const all = await fleet.navvy.tasks.list({ parent: run.id });
    expect(all.map(({ name }) => name).sort()).toEqual(["double", "gated", "gated", "use"]);

    expect(await run.retry({ from: "use" })).toEqual(["use"]);
    await run.wait(WAIT);
    expect((await fleet.navvy.tasks.list({ parent: run.id })).map(({ name }) => name).sort()).toEqual([
      "double",
      "gated",
      "gated",
      "use",
      "use",
    ]);

    const clone = await run.clone({ n: 5, gate });
    await (await clone.enqueue()).wait(WAIT);
    expect([clone.record.status, await clone.number()]).toEqual(["completed", 2]);
    await expect(clone.retry()).rejects.toMatchObject({ code: "illegal_move" });
    await expect(clone.retry({ from: "usee" })).rejects.toMatchObject({ code: "not_found" });
  });

  test("an abort ends its tasks too, and a reset begins all of it anew", async () => {
    const run = await submitted("long", [
      { name: "first", script: "true" },
      { name: "sleep", script: "sleep ${params.s}", parents: ["first"] },
    ]);
    await eventually("it sleeps", async () => (await states(run))["sleep"] === "running");
    await run.stop("enough of it");
    await run.wait(WAIT);
    expect([run.record.status, run.record.outcome?.kind]).toEqual(["aborted", "aborted"]);
    const before = await fleet.navvy.tasks.list({ parent: run.id });
    await eventually("its task has ended", async () => (await fleet.navvy.tasks.get(idOf(before, "sleep"))).status === "aborted");

    await fleet.navvy.tasks.reset(run.id);
    await fleet.navvy.tasks.setParameters(run.id, { "General/s": 0 });
    await (await run.reload()).enqueue();
    await run.wait(WAIT);
    expect([run.record.status, await states(run)]).toEqual(["completed", { first: "completed", sleep: "completed" }]);
    expect(await fleet.navvy.tasks.list({ parent: run.id })).toHaveLength(4);
  });

  test("a program that throws in the midst of its run ends what runs", async () => {
    const file = await program(
      join(fleet.folder, "thrower"),
      `import { PipelineController } from "navvy/controller";
      const pipeline = new PipelineController({ name: "thrower" });
      pipeline.addStep({ name: "sleep", script: "sleep 60" });
      await pipeline.start();
      const [step] = await pipeline.getSteps();
      while ((await pipeline.getSteps())[0].state !== "running") await new Promise((resolve) => setTimeout(resolve, 50));
      throw new Error("the program's own fault");`,
    );
    const draft = await fleet.navvy.tasks.create({ name: "thrower", taskType: "controller", spec: { command: ["node", file] } });
    const run = await new PipelineRun(fleet.navvy, draft).enqueue();
    await run.wait(WAIT);
    expect([run.record.status, run.record.outcome?.tail]).toEqual(["failed", expect.stringContaining("the program's own fault")]);
    const [sleep] = await fleet.navvy.tasks.list({ parent: run.id });
    const ended = await fleet.navvy.tasks.wait(sleep?.id ?? "", WAIT);
    expect([ended.status, ended.reason]).toEqual(["aborted", expect.stringContaining("its controller failed")]);
  });

  test("pipelines run pipelines, and take their outputs", async () => {
    const inner = new PipelineController({ name: "inner", outputs: { sum: "${steps.add.outputs.sum}" } });
    inner.addParameter("a", { type: "int" });
    inner.addStep({ name: "add", script: 'echo sum=json:$((${params.a} + 1)) >> "$NAVVY_OUTPUT"' });
    const run = await submitted("outer", [
      { name: "one", pipeline: inner, with: { a: "${params.s}" } },
      { name: "two", pipeline: inner, with: { a: "${one.outputs.sum}" } },
    ]);
    await run.wait(WAIT);
    expect([run.record.status, await states(run)]).toEqual(["completed", { one: "completed", two: "completed" }]);
    const two = await fleet.navvy.tasks.get(idOf(await fleet.navvy.tasks.list({ parent: run.id }), "two"));
    expect(two.reported.outputs).toEqual({ sum: 62 });
  });

  test("of a group one runs at a time: others wait, are refused, or take its place", async () => {
    const group = (onConflict: "queue" | "refuse" | "cancel_previous") => ({ concurrency: { group: "g", onConflict } });
    const step = { name: "sleep", script: "sleep ${params.s}" };
    const first = await submitted("first", [step], { ...group("queue"), s: 60 });
    await eventually("the first runs", async () => (await states(first))["sleep"] === "running");
    const refused = await submitted("refused", [step], group("refuse"));
    await refused.wait(WAIT);
    expect([refused.record.status, refused.record.outcome?.tail]).toEqual([
      "failed",
      expect.stringContaining("another run of group g goes on"),
    ]);
    const second = await submitted("second", [step], { ...group("cancel_previous"), s: 0 });
    await second.wait(WAIT);
    await first.wait(WAIT);
    expect([first.record.status, second.record.status]).toEqual(["aborted", "completed"]);
    expect(first.record.abort?.reason).toContain("takes its place");
  });

  test("a step that may be taken from the cache runs once in the fleet, and says why it runs", async () => {
    const cached = (name: string, options: { n?: number; cache?: boolean | "refresh" } = {}) =>
      submitted(name, [
        {
          name: "slow",
          cache: options.cache ?? true,
          parameters: { "General/n": options.n ?? 1 },
          script: 'sleep 1; echo n=json:$NAVVY_PARAM_N >> "$NAVVY_OUTPUT"',
        },
        { name: "next", script: "echo got=json:${slow.outputs.n} >> $NAVVY_OUTPUT" },
      ]);
    const ended = async (run: PipelineRun) => {
      await run.wait(WAIT);
      const [slow] = (await run.steps()).filter(({ name }) => name === "slow");
      return [run.record.status, slow?.state, slow?.members[0]?.task];
    };
    const both = await Promise.all([await cached("cached"), await cached("cached")].map(ended));
    expect(both.map(([status]) => status)).toEqual(["completed", "completed"]);
    expect(both.map(([, state]) => state).sort((a = "", b = "") => a.localeCompare(b))).toEqual(["cached", "completed"]);
    expect(both[0]?.[2]).toBe(both[1]?.[2]);
    const ran = await fleet.navvy.tasks.get(String(both[0]?.[2]));
    expect(ran.cache?.why).toBe("it has not run before");

    const other = await ended(await cached("cached", { n: 2 }));
    expect(other[1]).toBe("completed");
    expect((await fleet.navvy.tasks.get(String(other[2]))).cache?.why).toBe(`since task ${ran.id} there changed: parameter General/n`);
    const fresh = await ended(await cached("cached", { cache: "refresh" }));
    expect([fresh[1], fresh[2] === ran.id]).toEqual(["completed", false]);
    expect((await ended(await cached("cached")))[2]).toBe(fresh[2]);
  });
});

const idOf = (tasks: TaskRecord[], name: string) => tasks.find((task) => task.name === name)?.id ?? "";

/** A pipeline of steps as a run on the services queue, without a program of its own. */
async function submitted(name: string, steps: TaskStepOptions[], { s = 60, ...options }: Partial<PipelineOptions> & { s?: number } = {}) {
  const pipeline = new PipelineController({ name, ...options });
  pipeline.addParameter("s", { default: s });
  for (const step of steps) pipeline.addStep(step);
  return (await PipelineRun.create(fleet.navvy, pipeline.graph)).enqueue();
}
