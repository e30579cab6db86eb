import { join } from "node:path";
import { expect, test } from "vitest";
import { park, Task } from "../../controller/index.js";
import { controllerFleet, program } from "../support/controller-fleet.js";

/** Waits for another of its kind, down to one that waits for a plain task; each tells of every attempt. */
const NESTED = `
  const me = await Task.init({ name: "nested", parks: true, parkAfterMs: 2_000 });
  const depth = me.getParameter("depth", 0);
  console.log("depth " + depth + " attempt " + me.record.attempt);
  if (me.record.attempt === 1) me.log.output("first", me.record.attempt);
  me.log.scalar("starts", me.record.attempt);
  const child = depth > 1
    ? await Task.clone(me.id, { key: "child", name: "depth " + (depth - 1), parameters: { "General/depth": depth - 1 }, queue: "services" })
    : await Task.create({ key: "leaf", name: "leaf", command: ["sh", "-c", "echo sum=json:1 >> $NAVVY_OUTPUT"], queue: "default" });
  await child.wait();
  me.log.output("sum", 1 + child.outputs.sum);`;

test("controllers of controllers end although there is one slot for them, and what each reported before it parked stays", async () => {
  await using it = await controllerFleet({ services: 1 });
  const file = await program(it.folder, NESTED);
  const root = await Task.create({
    ...{ name: "depth 3", type: "controller", command: ["node", "main.mjs"], code: join(file, ".."), queue: "services" },
    parameters: { "General/depth": 3 },
  });
  await root.wait({ timeoutMs: 60_000 });
  expect([root.status, root.outputs]).toEqual(["completed", { first: 1, sum: 4 }]);
  const { attempts, attempt, failures, losses, firstAttempt } = root.record;
  expect([attempts.map(({ parked }) => parked ?? false), attempt, failures, losses, firstAttempt]).toEqual([[true, false], 2, 0, 0, 1]);
  // Each attempt has a log and points of its own; together they are the task's.
  expect((await root.metrics.series("starts")).map(({ value }) => value)).toEqual([1, 2]);
  expect(root.metrics.get("starts")).toMatchObject({ last: 2, count: 2 });
  const log: string[] = [];
  for await (const piece of it.navvy.logs.read(root.record)) if (piece.stream === "out") log.push(Buffer.from(piece.data).toString());
  expect(log.join("")).toBe("depth 3 attempt 1\ndepth 3 attempt 2\n");
  const all = await it.navvy.tasks.list({ name: "depth 1" });
  expect(all).toHaveLength(1);
  expect(all[0]).toMatchObject({ status: "completed", parent: (await it.navvy.tasks.list({ name: "depth 2" }))[0]?.id });
}, 90_000);

test("a controller does not park while it does something else, and parks for all of its children at once", async () => {
  await using it = await controllerFleet();
  const file = await program(
    it.folder,
    `const me = await Task.init({ name: "busy", parks: true, parkAfterMs: 100 });
     const child = (key) => Task.create({ key, name: key, command: ["sh", "-c", "echo > $NAVVY_DIR/x"], queue: "later" });
     const children = [await child("a"), await child("b")];
     if (me.record.attempt === 1) {
       const ended = children[0].wait();
       await new Promise((resolve) => setTimeout(resolve, 2_500));
       me.log.output("slept", true);
       await Promise.race([ended, waitAll(children)]);
     }
     await waitAll(children);
     me.log.output("ended", children.map(({ status }) => status));`,
  );
  await it.navvy.queues.create("later");
  const me = await Task.create({
    name: "busy",
    type: "controller",
    command: ["node", "main.mjs"],
    code: join(file, ".."),
    queue: "services",
  });
  const parked = await it.navvy.tasks.wait(me.id, { until: ({ parked }) => parked !== undefined, timeoutMs: 30_000 });
  const [b, a] = await it.navvy.tasks.list({ parent: me.id });
  expect([parked.reported.outputs, new Set(parked.parked?.on), parked.parked?.all]).toEqual([
    { slept: true },
    new Set([a?.id, b?.id]),
    undefined,
  ]);
  await it.navvy.tasks.abort(a?.id ?? "");
  const again = await it.navvy.tasks.wait(me.id, { until: (task) => task.attempt === 2 && task.parked !== undefined, timeoutMs: 30_000 });
  expect(again.parked).toMatchObject({ on: [b?.id] });
  await it.navvy.tasks.abort(b?.id ?? "");
  await me.wait({ timeoutMs: 30_000 });
  expect(me.outputs).toEqual({ slept: true, ended: ["aborted", "aborted"] });
}, 90_000);

test("parking says at once what is wrong with it", async () => {
  await expect(park({ until: "tomorrow" })).rejects.toMatchObject({ code: "invalid_argument" });
  await expect(park({})).rejects.toMatchObject({
    code: "invalid_argument",
    message: expect.stringContaining("nothing would ever wake it"),
  });
  await expect(park({ keys: true })).rejects.toMatchObject({ code: "illegal_move", fix: expect.anything() });
});
