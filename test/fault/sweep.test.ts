import { writeFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { navvy, SWEEP, sweepFleet, trialsOf, value } from "../support/sweep-fleet.js";

test("a sweep goes on elsewhere when its agent leaves at once, and when its machine is killed; it starts no trial twice", {
  timeout: 180_000,
}, async () => {
  await using it = await sweepFleet();
  // The fifth trial and later ones wait at a gate.
  await it.template(
    `n=$(grep -n "$NAVVY_TASK_ID" started | cut -d: -f1); while [ "$n" -gt 4 ] && [ ! -e gate ]; do sleep 0.1; done; ${value(1)}`,
  );
  await using _workers = await spawnAgent(it.nats, { slots: 4, services: 0 });
  await using first = await spawnAgent(it.nats, { queues: ["nothing"] });
  const ran = await navvy(it.nats, "sweep", "run", ...SWEEP, "-p", "General/x=0..1", "--trials", "12", "--parallel", "3");
  const id = ran.stdout.trim();
  const goesOn = (attempt: number) =>
    it.c.navvy.tasks.wait(id, {
      until: (sweep) => sweep.attempt === attempt && sweep.reported.progress?.n === 4,
      timeoutMs: 40_000,
    });
  await eventually("three trials run after the first four", async () => (await it.started()).length === 7, { timeoutMs: 40_000 });
  await first.leaveNow();
  await using second = await spawnAgent(it.nats, { queues: ["nothing"] });
  await goesOn(2);
  second.kill("SIGKILL");
  await using _third = await spawnAgent(it.nats, { queues: ["nothing"] });
  await goesOn(3);
  await writeFile(it.at("gate"), "");
  const sweep = await it.c.ended(id, 50_000);
  expect([sweep.status, sweep.attempt, sweep.reported.progress]).toEqual(["completed", 3, { n: 12, of: 12, unit: "trials" }]);
  const trials = await trialsOf(it.c, id);
  expect(trials.map(({ status, attempt, ticket }) => [status, attempt, ticket])).toEqual(Array(12).fill(["completed", 1, 1]));
  expect((await it.started()).sort()).toEqual(trials.map((trial) => trial.id).sort());
});
