import { afterAll, beforeAll, expect, test } from "vitest";
import { PipelineController, PipelineRun } from "../../controller/index.js";
import { controllerFleet } from "../support/controller-fleet.js";

let fleet: Awaited<ReturnType<typeof controllerFleet>>;
beforeAll(async () => {
  fleet = await controllerFleet({ services: 1 });
}, 60_000);
afterAll(() => fleet[Symbol.asyncDispose]());

const states = async (run: PipelineRun) => Object.fromEntries((await run.steps()).map(({ name, state }) => [name, state]));

/** On the services queue; it parks soon. */
async function sent(pipeline: PipelineController): Promise<PipelineRun> {
  const run = await PipelineRun.create(fleet.navvy, pipeline.graph);
  const env = { NAVVY_PARK_AFTER_MS: "300" };
  await fleet.navvy.tasks.edit(run.id, (draft) => ({ ...draft, spec: { ...draft.spec, env } }));
  return (await run.reload()).enqueue();
}

const parked = (run: PipelineRun) =>
  fleet.navvy.tasks.wait(run.id, { until: (task) => task.parked !== undefined || task.endedAt !== undefined, timeoutMs: 30_000 });

test("pipelines of pipelines of pipelines end although there is one slot for all of them", async () => {
  const pipelines = ["inner", "middle", "outer"].map((name) => new PipelineController({ name }));
  const [inner, middle, outer] = pipelines as [PipelineController, PipelineController, PipelineController];
  inner.addStep({ name: "one", script: "true" });
  middle.addStep({ name: "one", pipeline: inner });
  outer.addStep({ name: "one", pipeline: middle });
  const run = await sent(outer);
  await run.wait({ timeoutMs: 60_000 });
  expect([run.record.status, run.record.failures, run.record.losses]).toEqual(["completed", 0, 0]);
  expect(run.record.attempts.map((each) => each.parked ?? false)).toEqual([true, false]);
  expect(await fleet.navvy.tasks.list({ name: "one" })).toHaveLength(3);
}, 90_000);

test("a pipeline that waits for a person is parked, goes on with the word, and does what comes at the end when it is aborted", async () => {
  const gated = (name: string) => {
    const pipeline = new PipelineController({ name });
    pipeline.addStep({ name: "ask", approve: {}, script: "true" });
    pipeline.addFinally({ name: "last", script: "true" });
    return sent(pipeline);
  };
  const first = await gated("approved");
  expect((await parked(first)).parked).toMatchObject({ on: [], keys: true, tidies: true });
  await first.approve("ask");
  await first.wait({ timeoutMs: 30_000 });
  expect([first.record.status, await states(first)]).toEqual(["completed", { ask: "completed", last: "completed" }]);

  const second = await gated("aborted");
  await parked(second);
  expect((await fleet.navvy.tasks.abort(second.id, { reason: "enough" })).progress).toBe("requested");
  await second.wait({ timeoutMs: 30_000 });
  expect([second.record.status, await states(second)]).toEqual(["aborted", { ask: "aborted", last: "completed" }]);
  expect(second.record).toMatchObject({ reason: "enough", abort: { reason: "enough", deliveredAt: expect.any(String) } });
}, 90_000);
