import { pino } from "pino";
import { expect, test } from "vitest";
import { client } from "../../test/support/agent.js";
import { eventually } from "../../test/support/eventually.js";
import { startNats } from "../../test/support/nats.js";
import { HashedLanes } from "./hashed-lanes.js";
import { OpenTasks } from "./open-tasks.js";

const log = pino({ level: "silent" });

test("a hashed lane gets its needs again where an older client left them out, and is taken away once nobody uses it", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { queues, tasks } = c.navvy;
  const id = await c.submit(["true"], { spec: { resources: { gpus: 0, cpus: 0.5 } } });
  await c.submit(["true"]);
  const { shape } = await c.record(id);
  const lanes = async () => (await queues.get("default")).lanes;
  await queues.bucket.modify("default", (entry) => ({ ...entry, lanes: entry.lanes.map(({ needs: _needs, ...lane }) => lane) }));
  const open = await OpenTasks.open(c.navvy, { onChange: () => {} });
  try {
    await eventually("every task is known", () => open.isComplete && open.queued().length === 2);
    const hashed = new HashedLanes(c.navvy, log, 0);
    // What this client knows of the lane is good for 5 s.
    await eventually("the needs are back", async () => {
      await hashed.pass(open);
      return (await lanes()).some((lane) => lane.shape === shape && lane.needs?.cpus === 0.5);
    });
    expect(await lanes()).toHaveLength(2);
    await tasks.dequeue(id);
    const lane = { queue: "default", class: "normal", shape } as const;
    await queues.messages.delete((await queues.messages.head(lane)) ?? 0);
    await eventually("nobody uses it", () => open.queued().length === 1);
    await hashed.pass(open);
    await hashed.pass(open);
    expect(await lanes()).toEqual([{ class: "normal", shape: "cpu" }]);
    expect(await queues.laneInfo(lane)).toBeUndefined();
    await tasks.enqueue(id, { queue: "default" });
    expect(await lanes()).toContainEqual({ class: "normal", shape, needs: { gpus: 0, cpus: 0.5 } });
    expect((await queues.laneInfo(lane))?.num_pending).toBe(1);
  } finally {
    open.close();
  }
});
