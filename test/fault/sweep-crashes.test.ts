import { join } from "node:path";
import { expect, test } from "vitest";
import { Task } from "../../controller/index.js";
import { controllerFleet, program, template } from "../support/controller-fleet.js";

test("a sweep that is killed or ended by its host again and again comes to its end all the same, and a reset one begins anew", {
  timeout: 120_000,
}, async () => {
  await using it = await controllerFleet({ slots: 3 });
  const base = await template(`task.scalar("acc", task.param("General/x", 0));`, { parameters: { "General/x": 0 } });
  const file = await program(
    it.folder,
    `import { Sweep } from "navvy/controller";
     const sweep = new Sweep({
       name: "search", template: "${base.id}", objective: { metric: "acc", goal: "max" }, method: "random",
       parameters: { "General/x": { min: 0, max: 1 } }, budget: { trials: 12 }, parallel: 3,
     });
     const { attempt } = (await Task.init({ name: "search" })).record;
     let seen = 0;
     await sweep.run({ onTrial: () => { if (attempt <= 4 && ++seen === attempt * 2) process.kill(process.pid, attempt % 2 ? "SIGKILL" : "SIGTERM"); } });`,
  );
  const options = { retries: { limit: 4, backoffMs: 0 }, code: join(file, "..") };
  const sweep = await Task.create({ name: "search", type: "optimizer", command: ["node", "main.mjs"], queue: "services", ...options });
  await sweep.wait({ timeoutMs: 60_000 });
  expect([sweep.status, sweep.record.attempt, sweep.metrics.get("acc")?.count]).toEqual(["completed", 5, 12]);
  const trials = await it.navvy.tasks.list({ parent: sweep.id });
  expect(trials.map(({ status, attempt, ticket }) => [status, attempt, ticket])).toEqual(Array(12).fill(["completed", 1, 1]));

  await it.navvy.tasks.reset(sweep.id);
  await it.navvy.tasks.enqueue(sweep.id, { queue: "services" });
  await sweep.wait({ timeoutMs: 60_000 });
  const again = await it.navvy.tasks.list({ parent: sweep.id });
  expect([sweep.status, again.length]).toEqual(["completed", 24]);
  // The same seed: the same trials once more.
  const values = (of: typeof again) => of.map(({ spec }) => spec.parameters["General"]?.["x"] as number).sort((a, b) => a - b);
  expect(values(again.filter(({ id }) => !trials.some((trial) => trial.id === id)))).toEqual(values(trials));
});
