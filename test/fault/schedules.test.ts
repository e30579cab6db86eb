import { expect, test } from "vitest";
import { client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";

const RUNS = 6;
const EVERY_MS = 1_000;
const REPORT = `echo '{"t":"scalar","k":"acc","v":0.75,"step":1}' >> "$NAVVY_EVENTS"`;

test("schedules and triggers fire once each, over the death of the leading agent and a restart of nats-server", {
  timeout: 120_000,
}, async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const train = await c.navvy.tasks.create({ name: "train", spec: { command: ["sh", "-c", REPORT] } });
  const evaluate = await c.navvy.tasks.create({ name: "evaluate", spec: { command: ["true"] } });
  const launch = { queue: "default" };
  await c.navvy.triggers.create({
    name: "good",
    on: { kind: "metric", where: "acc >= 0.5" },
    template: evaluate.id,
    launch: { ...launch, parameters: { "General/acc": "${trigger.metric.acc.max}" } },
  });
  const spawn = (name: string) => spawnAgent(nats, { name, lease: "2s", slots: 4, services: 0 });
  const [one, other] = await Promise.all([spawn("one"), spawn("other")]);
  await using _one = one;
  await using _other = other;
  const leads = (agent: typeof one) => agent.log.some((line) => line.includes("coordinates"));
  const leading = await eventually("one of them leads", () => [one, other].find(leads), { timeoutMs: 20_000 });
  await c.navvy.schedules.create({
    name: "often",
    when: { kind: "interval", everyMs: EVERY_MS, startAt: new Date(Date.now() + EVERY_MS).toISOString() },
    template: train.id,
    launch,
    overlap: "parallel",
    catchUp: "all",
    catchUpLimit: 100,
    limit: RUNS,
  });
  const hasRun = (run: number) => async () => ((await c.navvy.schedules.get("often")).state.last?.run ?? 0) >= run;
  await eventually("it runs", hasRun(1), { timeoutMs: 20_000 });
  leading.kill("SIGKILL");
  await eventually("the other one leads", () => leads(leading === one ? other : one), { timeoutMs: 30_000 });
  await eventually("it goes on", hasRun(3), { timeoutMs: 20_000 });
  await nats.restart();
  const isOver = async () => (await c.navvy.schedules.get("often")).status === "ended";
  await eventually("it is over", isOver, { timeoutMs: 40_000 });

  const trained = await c.list({ clonedFrom: train.id });
  for (const { id } of trained) expect((await c.ended(id)).status).toBe("completed");
  const ran = trained.map(({ firedBy }) => firedBy?.run ?? 0).sort((a, b) => a - b);
  expect(ran).toEqual(Array.from({ length: RUNS }, (_, i) => i + 1));
  const times = trained.map(({ firedBy }) => Date.parse(firedBy?.at ?? "")).sort((a, b) => a - b);
  expect(times.map((time) => time - (times[0] ?? 0))).toEqual(times.map((_, i) => i * EVERY_MS));

  const evaluated = await eventually(
    "each fires the trigger",
    async () => {
      const made = await c.list({ clonedFrom: evaluate.id });
      return made.length >= RUNS && made;
    },
    { timeoutMs: 30_000 },
  );
  expect(evaluated.map(({ firedBy }) => firedBy?.task ?? "").sort()).toEqual(trained.map(({ id }) => id).sort());
  for (const { id } of evaluated)
    expect(await c.ended(id)).toMatchObject({ status: "completed", spec: { parameters: { General: { acc: 0.75 } } } });
});
