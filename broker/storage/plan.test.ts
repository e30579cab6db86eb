import { expect, test } from "vitest";
import type { Keep, Retention } from "../../protocol/index.js";
import { type Holding, planRetention } from "./plan.js";

const DAY = 86_400_000;
const now = Date.parse("2026-11-22T00:00:00.000Z");

function task(id: string, days: number, more: Partial<Holding> & { artifacts?: Record<string, number>; logBytes?: number } = {}): Holding {
  const { artifacts = { [`a-${id}`]: 10 }, logBytes = 5, ...rest } = more;
  return {
    id,
    name: id,
    project: "iris",
    queue: "default",
    endedAt: new Date(now - days * DAY).toISOString(),
    pieces: { logs: new Map([[id, logBytes]]), metrics: new Map(), artifacts: new Map(Object.entries(artifacts)) },
    ...rest,
  };
}

function rules(keep: { default?: Keep; projects?: Record<string, Keep>; queues?: Record<string, Keep> }): Retention {
  return { type: "navvy.retention.v1", default: {}, projects: {}, queues: {}, changedAt: "", by: "", ...keep };
}

const gone = (holdings: Holding[], retention: Retention) =>
  planRetention(holdings, retention, now)
    .expiries.map(({ id, kind }) => `${id} ${kind}`)
    .sort();

test("without a rule everything is kept", () => {
  expect(gone([task("a", 10_000)], rules({}))).toEqual([]);
});

test("an age is the project's, else the queue's, else the fleet's, and 0 is for ever", () => {
  const holdings = [task("own", 40), task("queued", 40, { project: "other" }), task("plain", 40, { project: "other", queue: "slow" })];
  const retention = rules({
    default: { logs: { ageMs: 30 * DAY } },
    queues: { default: { logs: { ageMs: 50 * DAY } } },
    projects: { iris: { logs: { ageMs: 0 } } },
  });
  expect(gone(holdings, retention)).toEqual(["plain logs"]);
  expect(gone(holdings, rules({ default: { logs: { ageMs: 30 * DAY } }, queues: { default: { logs: { ageMs: 0 } } } }))).toEqual([
    "plain logs",
  ]);
  expect(gone(holdings, rules({ default: { logs: { ageMs: 30 * DAY } } }))).toEqual(["own logs", "plain logs", "queued logs"]);
});

test("what has not ended, or is kept for a reason, never goes, whatever its age", () => {
  const holdings = [task("published", 400, { kept: "published" }), task("runs", 0, { endedAt: undefined }), task("old", 400)];
  expect(gone(holdings, rules({ default: { tasks: { ageMs: DAY }, artifacts: { bytes: 1 } } }))).toEqual(["old tasks"]);
});

test("a size takes the oldest until the rest fits, and what several share counts once", () => {
  const holdings = [
    task("new", 1, { artifacts: { shared: 100, own: 10 } }),
    task("middle", 2, { artifacts: { shared: 100 } }),
    task("old", 3, { artifacts: { x: 40 } }),
    task("oldest", 4, { artifacts: { y: 40 } }),
  ];
  expect(gone(holdings, rules({ projects: { iris: { artifacts: { bytes: 160 } } } }))).toEqual(["oldest artifacts"]);
  expect(gone(holdings, rules({ default: { artifacts: { bytes: 110 } } }))).toEqual(["old artifacts", "oldest artifacts"]);
  expect(gone(holdings, rules({ queues: { elsewhere: { artifacts: { bytes: 1 } } } }))).toEqual([]);
});

test("a place that stays over its limit because the rest is kept says so", () => {
  const holdings = [task("kept", 9, { kept: "published", artifacts: { big: 1_000 } }), task("small", 1)];
  const plan = planRetention(holdings, rules({ projects: { iris: { artifacts: { bytes: 500 } } } }), now);
  expect(plan.expiries.map(({ id }) => id)).toEqual(["small"]);
  expect(plan.excesses).toEqual([{ place: "project iris", kind: "artifacts", bytes: 1_000, limit: 500 }]);
});

test("a record that goes takes the rest with it, and counts for no size", () => {
  const holdings = [task("old", 100, { artifacts: { x: 100 } }), task("new", 1, { artifacts: { y: 100 } })];
  const retention = rules({ default: { tasks: { ageMs: 50 * DAY }, artifacts: { ageMs: 50 * DAY, bytes: 150 } } });
  expect(planRetention(holdings, retention, now).expiries).toMatchObject([{ id: "old", kind: "tasks", bytes: 105 }]);
});
