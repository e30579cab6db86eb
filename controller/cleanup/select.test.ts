import { describe, expect, test } from "vitest";
import type { TaskRecord } from "../../protocol/index.js";
import { type CleanupChoice, selectOld } from "./select.js";

const DAY = 86_400_000;
const NOW = Date.parse("2026-06-01T00:00:00Z");
const CHOICE: CleanupChoice = { olderMs: 30 * DAY, verb: "delete" };

/** A task that ended so many days ago. */
function task(
  id: string,
  status: TaskRecord["status"],
  more: Partial<TaskRecord> & { days?: number; inputFrom?: string } = {},
): TaskRecord {
  const { days = 40, inputFrom, ...rest } = more;
  const inputs = inputFrom === undefined ? {} : { data: { sha256: "a", sizeBytes: 1, from: { task: inputFrom, artifact: "data" } } };
  const at = new Date(NOW - days * DAY).toISOString();
  const reported = { outputs: {}, metrics: {}, artifacts: [], notes: [], metricsOmitted: 0 };
  const record = {
    id,
    name: id,
    project: "p",
    status,
    tags: [],
    archived: false,
    changedAt: at,
    spec: { inputs, parameters: {} },
    reported,
    ...rest,
  };
  return {
    ...record,
    ...(status === "queued" || status === "running" || status === "draft" ? {} : { endedAt: at }),
  } as unknown as TaskRecord;
}

const FACTS = { nowMs: NOW, templates: new Map([["cloned", "template of schedule nightly"]]) };

const idsOf = (all: TaskRecord[], choice: Partial<CleanupChoice> = {}) =>
  selectOld(all, { ...CHOICE, ...choice }, FACTS)
    .filter(({ kept }) => kept === undefined)
    .map(({ task: { id } }) => id);

const keptOf = (all: TaskRecord[], choice: Partial<CleanupChoice> = {}) =>
  Object.fromEntries(
    selectOld(all, { ...CHOICE, ...choice }, FACTS).flatMap(({ task: { id }, kept }) => (kept === undefined ? [] : [[id, kept]])),
  );

describe("what is old enough goes, the oldest first", () => {
  const all = [
    task("new", "completed", { days: 29 }),
    task("old", "completed", { days: 31 }),
    task("older", "failed", { days: 90 }),
    task("aborted", "aborted", { project: "q" }),
    task("published", "published"),
    task("draft", "draft"),
    task("queued", "queued"),
    task("archived", "completed", { archived: true, days: 50 }),
  ];
  test("whatever its state, but published", () => expect(idsOf(all)).toEqual(["older", "archived", "aborted", "old"]));
  test("what is archived already is not archived again", () => expect(idsOf(all, { verb: "archive" })).not.toContain("archived"));
  test("of some states, or of one project", () => {
    expect(idsOf(all, { status: ["failed", "aborted"] })).toEqual(["older", "aborted"]);
    expect(idsOf(all, { project: "q" })).toEqual(["aborted"]);
  });
});

test("tagged ones and those that made a model stay", () => {
  const model = { outputs: {}, metrics: {}, artifacts: [{ name: "net", kind: "model" }], notes: [], metricsOmitted: 0 };
  const all = [
    task("a", "completed", { tags: ["keep"] }),
    task("b", "completed", { tags: ["paper"] }),
    task("c", "completed", { reported: model as never }),
  ];
  expect(keptOf(all, { keepTagged: ["paper"] })).toEqual({ a: "tagged keep", b: "tagged paper", c: "it made model net" });
  expect(idsOf(all)).toEqual(["b"]);
});

test("what something alive takes as an input stays; what only an ended task took goes", () => {
  const all = [
    task("data-1", "completed"),
    task("data-2", "completed"),
    task("data-3", "completed"),
    task("data-4", "completed"),
    task("waiting", "queued", { inputFrom: "data-1" }),
    task("published", "published", { inputFrom: "data-2" }),
    task("template", "draft", { inputFrom: "data-3" }),
    task("over", "completed", { inputFrom: "data-4", days: 5 }),
  ];
  expect(idsOf(all)).toEqual(["data-4"]);
  expect(keptOf(all)["data-1"]).toBe("queued task aiting takes an input from it");
});

test("controllers of what is under way stay, and the children of those that are, over several generations", () => {
  const all = [
    task("grand", "running"),
    task("middle", "completed", { parent: "grand" }),
    task("child", "failed", { parent: "middle" }),
    task("old-parent", "aborted"),
    task("orphan", "running", { parent: "old-parent" }),
    task("loop-1", "completed", { parent: "loop-2" }),
    task("loop-2", "completed", { parent: "loop-1" }),
  ];
  expect(idsOf(all)).toEqual(["loop-1", "loop-2"]);
  expect(keptOf(all)).toEqual({
    middle: "its controller grand is running",
    child: "its controller grand is running",
    "old-parent": "its child orphan is running",
  });
});

test("what a schedule, a trigger or a sweep that is not over clones stays; the template of one that is over goes", () => {
  const sweep = (template: string) =>
    ({ parameters: { Sweep: { definition: { template } } }, inputs: {} }) as unknown as TaskRecord["spec"];
  const output = { outputs: { sweep: { template: "base-3" } }, metrics: {}, artifacts: [], notes: [], metricsOmitted: 0 };
  const all = [
    task("cloned", "completed"),
    ...["base-1", "base-2", "base-3", "base-4"].map((id) => task(id, "completed")),
    task("sweep-1", "running", { spec: sweep("base-1") }),
    task("sweep-2", "queued", { spec: sweep("base-2") }),
    task("sweep-3", "running", { reported: output as never }),
    task("sweep-4", "completed", { days: 5, spec: sweep("base-4") }),
  ];
  expect(idsOf(all)).toEqual(["base-4"]);
  expect(keptOf(all)).toMatchObject({ cloned: "template of schedule nightly", "base-1": "template of running sweep weep-1" });
});
