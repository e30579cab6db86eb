import { afterAll, beforeAll, expect, test } from "vitest";
import { PipelineController, Task } from "../../controller/index.js";
import { controllerFleet } from "../support/controller-fleet.js";

let fleet: Awaited<ReturnType<typeof controllerFleet>>;
beforeAll(async () => {
  fleet = await controllerFleet({ slots: 2 });
}, 60_000);
afterAll(async () => {
  process.exitCode = 0;
  await fleet[Symbol.asyncDispose]();
});

const WAIT = { timeoutMs: 60_000 };
const node = (code: string) => ["node", "--input-type=module", "-e", `import { task } from "navvy/task"; ${code}`];
const children = async (pipeline: PipelineController) => fleet.navvy.tasks.list({ parent: pipeline.id ?? "" });

test("steps run as processes of this machine where they are to, with nobody else serving", async () => {
  const pipeline = new PipelineController({ name: "here", queue: "served-by-nobody" });
  pipeline.addStep({ name: "one", script: 'echo at=$NAVVY_AGENT >> "$NAVVY_OUTPUT"' });
  pipeline.addStep({ name: "two", script: "test ${one.outputs.at} = $NAVVY_AGENT" });
  expect([pipeline.isRunning(), pipeline.id, await pipeline.getSteps()]).toEqual([false, undefined, []]);
  await expect(pipeline.wait()).rejects.toMatchObject({ code: "illegal_move" });
  await pipeline.startLocally({ runStepsLocally: true });
  expect(pipeline.isRunning()).toBe(true);
  await pipeline.wait(WAIT);
  expect([pipeline.isRunning(), pipeline.isSuccessful()]).toEqual([false, true]);
  const one = (await children(pipeline)).find(({ name }) => name === "one");
  expect(one?.reported.outputs["at"]).toMatch(/^local-/);
});

test("a clone differs in what the step says: parameters, configuration, parts of its specification", async () => {
  await Task.create({
    name: "base",
    command: node(`task.output("seen", [process.env.A, process.env.B, task.params("Configuration")])`),
    env: { A: "a", B: "b" },
    tags: ["old"],
  });
  const pipeline = new PipelineController({ name: "over", tags: ["all"] });
  pipeline.addParameter("b", { default: 3 });
  pipeline.addStep({
    name: "clone",
    template: "base",
    tags: ["own"],
    class: "high",
    configuration: { model: { depth: "${pipeline.b}" } },
    overrides: { env: { B: "is ${pipeline.b}" }, graceMs: 1_000 },
    resources: { cpus: 1 },
  });
  await pipeline.startLocally();
  await pipeline.wait(WAIT);
  const [clone] = await children(pipeline);
  expect(clone).toMatchObject({
    tags: ["all", "own"],
    class: "high",
    spec: { graceMs: 1_000, resources: { cpus: 1 } },
    reported: { outputs: { seen: ["a", "is 3", { model: { depth: 3 } }] } },
  });
});

test("metrics, artifacts and models of a step stand at the pipeline's own task too", async () => {
  const pipeline = new PipelineController({ name: "monitored" });
  const bytes = "new TextEncoder().encode";
  pipeline.addStep({
    name: "train",
    task: {
      command: node(`task.scalar("acc", 0.5, { step: 7 }); task.scalar("loss", 2);
        await task.artifact("data.json", ${bytes}("{}")); await task.artifact("left.txt", ${bytes}("x"));
        await task.artifact("net", ${bytes}("w"), { kind: "model" });`),
    },
    monitors: { metrics: ["ac*"], artifacts: ["data*"], models: ["*"] },
  });
  await pipeline.startLocally();
  await pipeline.wait(WAIT);
  const own = await Task.get(pipeline.id ?? "");
  expect(own.metrics.keys).toEqual(["train/acc"]);
  expect(own.metrics.get("train/acc")).toMatchObject({ last: 0.5, lastStep: 7 });
  expect(own.artifacts.names).toEqual(["train/data.json", "train/net"]);
  expect(await own.artifacts.get("train/net").text()).toBe("w");
});

test("what can not start is refused before anything does", async () => {
  const gone = new PipelineController({ name: "gone" });
  gone.addStep({ name: "first", script: "true" });
  gone.addStep({ name: "clone", template: "deleted/template", parents: ["first"] });
  await gone.startLocally();
  await expect(gone.wait(WAIT)).rejects.toMatchObject({ code: "not_found" });
  expect(await children(gone)).toEqual([]);

  const wrong = new PipelineController({ name: "wrong" });
  wrong.addStep({ name: "a", script: "echo ${steps.bb.outputs.x}" });
  wrong.addStep({ name: "a", script: "true" });
  await expect(wrong.startLocally()).rejects.toMatchObject({ code: "invalid_argument" });
  const functions = new PipelineController({ name: "functions" });
  expect(() => functions.addFunctionStep({ name: "f", function: () => 1, arguments: { when: new Date() as never } })).toThrow(
    /argument when of step f can not be handed to another process/,
  );
  expect(() => functions.addStep({ name: "nothing" })).toThrow("step nothing has nothing to run");
});

test("a controller by hand waits for a figure, and gives a clone files in place of its template's", async () => {
  const made = await Task.create({
    name: "made",
    command: node(`await task.artifact("best", new TextEncoder().encode("new"))`),
    queue: "default",
  });
  await made.wait(WAIT);
  const read = `import { readFileSync } from "node:fs"; task.output("got", readFileSync(task.input("file"), "utf8"));`;
  const base = await Task.create({ name: "reads", command: node(read), inputs: { file: made.artifacts.get("best") } });
  const clone = await Task.clone(base, { inputs: { file: made.artifacts.get("best") }, queue: "default" });
  await clone.wait(WAIT);
  expect([clone.outputs, Object.keys(clone.record.spec.inputs)]).toEqual([{ got: "new" }, ["file"]]);

  const steps = `for (let step = 0; ; step++) { task.scalar("acc", step / 10, { step }); await new Promise((r) => setTimeout(r, 100)); }`;
  const endless = await Task.create({ name: "endless", command: node(steps), queue: "default", graceMs: 500 });
  await endless.waitFor("acc.max > 0.3", WAIT);
  expect([endless.status, endless.meets("acc.max > 0.3")]).toEqual(["running", true]);
  await endless.abort("good enough");
  await endless.wait(WAIT);
  expect(endless.status).toBe("aborted");
  await expect(endless.waitFor("acc.max >")).rejects.toMatchObject({ code: "invalid_argument" });
});
