import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type NewGraph, PipelineRun } from "../../controller/index.js";
import { controllerFleet } from "../support/controller-fleet.js";
import { eventually } from "../support/eventually.js";

const WAIT = { timeoutMs: 120_000 };

/** Pipelines in pipelines, so many deep; the innermost runs a script. */
function nested(depth: number, script: string): NewGraph {
  const head = { type: "navvy.pipeline.v1" as const, name: `level-${depth}` };
  if (depth === 0) return { ...head, steps: [{ name: "work", action: { kind: "task", spec: {}, script } }] };
  const below = nested(depth - 1, script) as never;
  return { ...head, steps: [{ name: "below", action: { kind: "pipeline", pipeline: below } }] };
}

test("pipelines of pipelines end with a single slot for all of their controllers: who waits gives it up", async () => {
  await using it = await controllerFleet({ slots: 1, services: 1 });
  const run = await (await PipelineRun.create(it.navvy, nested(2, "true"))).enqueue();
  await run.wait(WAIT);
  expect([run.record.status, (await run.steps()).map(({ state }) => state)]).toEqual(["completed", ["completed"]]);
  expect(run.record.attempt).toBeGreaterThan(1);
});

test("a run whose only step waits for a person is parked, woken by the word, and aborted with what it runs", async () => {
  await using it = await controllerFleet({ slots: 1, services: 1 });
  const gate = join(it.folder, "gate");
  const graph: NewGraph = {
    type: "navvy.pipeline.v1",
    name: "gated",
    steps: [
      { name: "first", action: { kind: "task", spec: {}, script: `while ! test -e '${gate}'; do sleep 0.1; done` } },
      { name: "second", parents: ["first"], approve: {}, action: { kind: "task", spec: {}, script: "sleep 600" } },
    ],
  };
  const run = await PipelineRun.create(it.navvy, graph);
  const soon = { NAVVY_PARK_AFTER_MS: "300" };
  await it.navvy.tasks.edit(run.id, (draft) => ({ ...draft, spec: { ...draft.spec, env: soon } }));
  await run.enqueue();
  const isParked = async () => (await run.reload()).record.parked;
  await writeFile(gate, "");
  await eventually("it waits for a person", async () => (await run.steps())[1]?.state === "waiting", { timeoutMs: 30_000 });
  await eventually("it is parked", isParked, { timeoutMs: 60_000 });
  expect(await isParked()).toMatchObject({ keys: true });
  await run.approve("second");
  const sleeping = await eventually("its task runs", async () => (await run.steps())[1]?.members[0], { timeoutMs: 30_000 });
  await eventually("it is parked again", isParked, { timeoutMs: 60_000 });
  await run.stop("not wanted any more");
  await run.wait(WAIT);
  expect(run.record.status).toBe("aborted");
  const isOver = async () => (await it.navvy.tasks.get(sleeping.task ?? "")).status === "aborted";
  await eventually("what it ran is over too", isOver, { timeoutMs: 30_000 });
}, 180_000);

test("a parked run that is aborted is started once more for what comes at the end", async () => {
  await using it = await controllerFleet({ slots: 1, services: 1 });
  const run = await PipelineRun.create(it.navvy, {
    type: "navvy.pipeline.v1",
    name: "tidy",
    steps: [{ name: "ask", approve: {}, action: { kind: "task", spec: {}, script: "true" } }],
    finally: [{ name: "last", action: { kind: "task", spec: {}, script: "true" } }],
  });
  const soon = { NAVVY_PARK_AFTER_MS: "300" };
  await it.navvy.tasks.edit(run.id, (draft) => ({ ...draft, spec: { ...draft.spec, env: soon } }));
  await run.enqueue();
  await it.navvy.tasks.wait(run.id, { until: ({ parked }) => parked?.tidies === true, timeoutMs: 60_000 });
  expect((await it.navvy.tasks.abort(run.id, { reason: "enough" })).progress).toBe("requested");
  await run.wait(WAIT);
  expect([run.record.status, (await run.steps()).map(({ state }) => state)]).toEqual(["aborted", ["aborted", "completed"]]);
  expect(run.record).toMatchObject({ reason: "enough", abort: { reason: "enough", deliveredAt: expect.any(String) } });
}, 120_000);
