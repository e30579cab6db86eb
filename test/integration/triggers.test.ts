import pino from "pino";
import { expect, test } from "vitest";
import { Tripwires } from "../../agent/coordinator/tripwires.js";
import type { NewTrigger } from "../../broker/index.js";
import type { ArtifactRef, FleetEvent, MetricSummary, TaskRecord, TriggerOn } from "../../protocol/index.js";
import { type Client, client } from "../support/agent.js";
import { byHand } from "../support/by-hand.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";

const log = pino({ level: "silent" });

/** A trigger, and what it has made so far. */
async function trigger(c: Client, name: string, { on, ...more }: Partial<NewTrigger> & { on: TriggerOn }) {
  const template = await c.navvy.tasks.create({ name: `for ${name}`, spec: { command: ["true"] } });
  await c.navvy.triggers.create({ name, on, template: template.id, launch: { queue: "default" }, ...more });
  return { name, template, made: () => c.list({ clonedFrom: template.id }) };
}

const leader = (c: Client) => Tripwires.open({ navvy: c.navvy, log });
const figures = (last: number): MetricSummary => ({ last, lastStep: 1, min: 0, minStep: 0, max: last, maxStep: 1, count: 2 });

/** An artifact that is in the store. */
async function artifact(c: Client, name: string, kind?: string): Promise<ArtifactRef> {
  const { sha256, sizeBytes } = await c.navvy.objects.putBytes(Buffer.from(`content of ${name}`));
  return { name, sha256, sizeBytes, attempt: 1, uploadedAt: new Date().toISOString(), ...(kind ? { kind } : {}) };
}

/** All that was to be looked at was: a trigger that came later than it has fired. */
async function settled(c: Client, mark: Awaited<ReturnType<typeof trigger>>): Promise<void> {
  const before = (await mark.made()).length;
  const task = await c.navvy.tasks.create({ name: "mark", tags: ["mark"], spec: { command: ["true"] } });
  await eventually("what came before the mark was looked at", async () => (await mark.made()).length > before, { timeoutMs: 20_000 });
  await c.navvy.tasks.delete(task.id);
}

const marker = (c: Client) => trigger(c, "marker", { on: { kind: "tag", tag: "mark" } });

test("a status, a metric, an artifact, a model and a tag fire once each, with two leaders at once", { timeout: 60_000 }, async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using other = await client(nats);
  const done = await trigger(c, "done", { on: { kind: "status", statuses: ["completed"] }, filter: { project: "iris" } });
  const good = await trigger(c, "good", {
    on: { kind: "metric", where: "val/acc.max > 0.9" },
    launch: {
      queue: "default",
      name: "after ${trigger.task.name}",
      parameters: { "General/acc": "${trigger.value}", "General/of": "${trigger.task.id}" },
    },
  });
  const csv = await trigger(c, "csv", { on: { kind: "artifact", name: "*.csv" }, inputs: { data: "${trigger.artifact.name}" } });
  const model = await trigger(c, "model", { on: { kind: "model", name: "best*" } });
  const prod = await trigger(c, "prod", { on: { kind: "tag", tag: "prod" } });
  const wires = [await leader(c), await leader(other)];
  const task = await byHand(c, { name: "train", project: "iris" });
  await task.report({ metrics: { "val/acc": figures(0.5) } });
  await task.report({ metrics: { "val/acc": figures(0.95) } });
  const [after] = await eventually("the metric fires while the task runs", async () => {
    const made = await good.made();
    return made.length > 0 && made;
  });
  expect(after).toMatchObject({
    name: "after train",
    status: "queued",
    spec: { parameters: { General: { acc: 0.95, of: task.id } } },
    firedBy: { kind: "trigger", name: "good", task: task.id },
  });
  await task.report({ metrics: { "val/acc": figures(0.99) } });
  const table = await artifact(c, "table.csv");
  await task.report({
    artifacts: [table, await artifact(c, "best.pt", "model"), await artifact(c, "notes.txt")],
  });
  await task.end();
  await eventually("its end fires", async () => (await done.made()).length > 0);
  await c.navvy.tasks.tag(task.id, { add: ["prod", "eu"] });
  await eventually("the tag fires", async () => (await prod.made()).length > 0);
  await c.navvy.tasks.tag(task.id, { remove: ["eu"] });
  await settled(c, await marker(c));
  for (const wire of wires) wire.close();
  for (const each of [done, good, csv, model, prod]) expect((await each.made()).length, each.name).toBe(1);
  expect((await csv.made())[0]?.spec.inputs).toMatchObject({
    data: { sha256: table.sha256, from: { task: task.id, artifact: "table.csv" } },
  });
  expect((await c.navvy.triggers.get("good")).state).toMatchObject({ fired: 1, last: { of: task.id, task: after?.id } });
});

test("what happened while nobody led fires once, over a restart of nats-server, and what was before does not", {
  timeout: 60_000,
}, async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const old = await byHand(c);
  await old.end({ reported: { metrics: { loss: figures(0.1) } } });
  await c.navvy.tasks.publish(old.id);
  const out = await trigger(c, "out", { on: { kind: "status", statuses: ["published"] } });
  const done = await trigger(c, "done", { on: { kind: "status", statuses: ["completed", "failed"] } });
  const low = await trigger(c, "low", { on: { kind: "metric", where: "loss < 0.2" } });
  const meanwhile = await byHand(c, { name: "meanwhile" });
  await meanwhile.end({ reported: { metrics: { loss: figures(0.1) } } });
  await nats.restart();
  const first = await leader(c);
  await eventually("it fires", async () => (await done.made()).length === 1 && (await low.made()).length === 1, { timeoutMs: 20_000 });
  await nats.restart();
  await eventually("the server answers", async () => (await c.list()).length > 0, { timeoutMs: 20_000 });
  const failed = await byHand(c, { name: "failing" });
  await failed.end({ outcome: { kind: "exited", code: 3 } });
  await eventually("it goes on after the restart", async () => (await done.made()).length === 2, { timeoutMs: 20_000 });
  first.close();
  const next = await leader(c);
  await c.navvy.tasks.tag(old.id, { add: ["seen"] });
  for (const { id } of [old, meanwhile]) await c.navvy.tasks.archive(id);
  await settled(c, await marker(c));
  next.close();
  expect(await out.made()).toEqual([]);
  expect((await done.made()).map(({ firedBy }) => firedBy?.task ?? "").sort()).toEqual([meanwhile.id, failed.id].sort());
  expect(await low.made()).toHaveLength(1);
});

test("a firing that a leader left as a draft is queued, and one whose task was deleted is not made again", {
  timeout: 60_000,
}, async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const done = await trigger(c, "done", { on: { kind: "status", statuses: ["completed"] } });
  const { trigger: made } = await c.navvy.triggers.get("done");
  const [one, two] = [await byHand(c), await byHand(c)];
  for (const each of [one, two]) await each.end();
  const drafts: TaskRecord[] = [];
  for (const { id } of [one, two])
    drafts.push(
      await c.navvy.tasks.clone(done.template.id, {
        key: `status.${id}.completed.1`,
        firedBy: { kind: "trigger", name: "done", id: made.id, at: made.since, task: id, via: [made.id] },
      }),
    );
  await c.navvy.tasks.delete(drafts[1]?.id ?? "");
  const wires = await leader(c);
  await eventually("the draft is queued", async () => (await c.record(drafts[0]?.id ?? "")).status === "queued");
  await settled(c, await marker(c));
  wires.close();
  expect((await done.made()).map(({ id }) => id)).toEqual([drafts[0]?.id]);
});

test("a task of a firing that was deleted is not made again once no trace of it is left", { timeout: 60_000 }, async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const done = await trigger(c, "done", { on: { kind: "status", statuses: ["completed"] } });
  const first = await leader(c);
  const task = await byHand(c);
  await task.end();
  const [made] = await eventually("it fires", async () => (await done.made()).length > 0 && done.made());
  first.close();
  const { bucket } = c.navvy.tasks;
  await c.navvy.tasks.abort(made?.id ?? "");
  await c.navvy.tasks.delete(made?.id ?? "");
  await c.navvy.bus.jsm.streams.purge(`KV_${bucket.name}`, { filter: `$KV.${bucket.name}.${made?.id}` });
  // As if a day had passed.
  const { trigger: of, state } = await c.navvy.triggers.get("done");
  await c.navvy.triggers.noteSeen(of, { seenTo: state.seenTo, seenAt: new Date(Date.now() + 86_400_000).toISOString() });
  await c.navvy.tasks.archive(task.id);
  const next = await leader(c);
  await settled(c, await marker(c));
  next.close();
  expect(await done.made()).toEqual([]);
});

test("a trigger does not fire on what comes of its own firings, unless it is to", { timeout: 60_000 }, async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const loop = await trigger(c, "loop", { on: { kind: "status", statuses: ["queued"] }, filter: { name: "*loop*" } });
  const first = await c.navvy.tasks.create({ name: "loop first", spec: { command: ["true"] } });
  const wires = await leader(c);
  await c.navvy.tasks.enqueue(first.id, { queue: "default" });
  const [own] = await eventually("it fires", async () => (await loop.made()).length > 0 && loop.made());
  // A step of a controller that it fired comes of it too.
  const step = await c.submit(["true"], { name: "loop step", parent: own?.id ?? "" });
  await settled(c, await marker(c));
  expect(await loop.made()).toHaveLength(1);
  expect(await c.navvy.triggers.test("loop", await c.record(step))).toMatchObject({
    wouldFire: false,
    reason: expect.stringContaining("own firings"),
  });
  expect(await c.navvy.triggers.test("loop", await c.record(first.id))).toEqual({ wouldFire: true, reason: "once" });
  const wanted = await trigger(c, "wanted", { on: { kind: "status", statuses: ["queued"] }, filter: { name: "for wanted" }, onOwn: true });
  const clone = await c.navvy.tasks.clone(wanted.template.id);
  await c.navvy.tasks.enqueue(clone.id, { queue: "default" });
  await eventually("it goes on firing on its own", async () => (await wanted.made()).length > 3);
  await c.navvy.triggers.pause("wanted", "enough");
  wires.close();
});

test("trouble is told and keeps no other trigger back; what happens in a pause does not count", { timeout: 60_000 }, async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const orphan = await trigger(c, "orphan", { on: { kind: "status", statuses: ["completed"] } });
  const well = await trigger(c, "well", { on: { kind: "status", statuses: ["completed"] } });
  await c.navvy.tasks.delete(orphan.template.id);
  await c.navvy.triggers.pause("well", "holidays");
  const wires = await leader(c);
  await (await byHand(c)).end();
  await eventually("the trouble is told", async () => (await c.navvy.triggers.get("orphan")).state.trouble);
  await c.navvy.triggers.resume("well");
  const second = await byHand(c);
  await second.end();
  await eventually("the other one fires", async () => (await well.made()).length > 0);
  await settled(c, await marker(c));
  wires.close();
  expect((await well.made()).map(({ firedBy }) => firedBy?.task)).toEqual([second.id]);
  await c.navvy.events.flush();
  const told: FleetEvent[] = [];
  for await (const event of c.navvy.events.follow({ kind: "trigger", history: true, signal: AbortSignal.timeout(20_000) })) {
    told.push(event);
    if (told.filter(({ id, event: what }) => id === "orphan" && what === "failed").length === 2) break;
  }
  expect(told.find(({ event }) => event === "failed")?.reason).toContain("its template for orphan");
});

test("what can not be is refused, with what was probably meant", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const on: TriggerOn = { kind: "status", statuses: ["completed"] };
  const attempt = (name: string, more: Partial<NewTrigger>) => trigger(c, name, { on, ...more });
  await expect(attempt("x", { on: { kind: "metric", where: "acc >" } })).rejects.toThrow();
  await expect(attempt("x", { launch: { queue: "default", name: "${trigger.task.nmae}" } })).rejects.toThrow("did you mean task.name");
  await expect(attempt("x", { launch: { queue: "default", parameters: { "General/a": "${trigger.value}" } } })).rejects.toThrow(
    "stands for nothing",
  );
  await expect(attempt("x", { template: "no such" })).rejects.toThrow("there is no task");
  await expect(attempt("on done", {})).rejects.toThrow("is not acceptable");
  await attempt("done", {});
  await expect(attempt("done", {})).rejects.toThrow("exists already");
  await expect(c.navvy.triggers.get("dome")).rejects.toThrow("did you mean done");
});
