import { expect, test } from "vitest";
import { client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";

/** A rank writes `$1` points of its own metric into `$2`. */
const RANKS = `
rank() { i=0; while [ $i -lt $1 ]; do echo "{\\"t\\":\\"scalar\\",\\"k\\":\\"$3\\",\\"v\\":$i}" >> "$2"; i=$((i+1)); sleep 0.01; done; }
rank 200 "$NAVVY_EVENTS" main & rank 200 "$NAVVY_DIR/events-rank1.jsonl" rank1 &
(sleep 1; rank 100 "$NAVVY_DIR/events-rank2.jsonl" rank2; printf '{"t":"scalar","k":"rank2","v":100}' >> "$NAVVY_DIR/events-rank2.jsonl") & wait`;

test("reports in several files, late ones too, are taken in once each and in order, over two deaths of the agent", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const start = (workDir?: string) =>
    spawnAgent(nats, { name: "killed", adoptWithin: "60s", lease: "20s", ...(workDir === undefined ? {} : { workDir }) });
  await using first = await start();
  const id = await c.submit(["sh", "-c", RANKS]);
  const points = async () => (await c.navvy.metrics.series({ id, attempt: 1 }, "rank1")).length;
  await eventually("points arrive", async () => (await points()) > 0);
  first.kill("SIGKILL");
  await first.exited;
  await using second = await start(first.workDir);
  const before = await points();
  await eventually("more arrive", async () => (await points()) > before);
  second.kill("SIGKILL");
  await second.exited;
  await using _third = await start(first.workDir);
  const done = await c.ended(id);
  expect(done).toMatchObject({ status: "completed", attempt: 1, losses: 0 });
  for (const [key, count] of [
    ["main", 200],
    ["rank1", 200],
    ["rank2", 101],
  ] as const) {
    expect(done.reported.metrics[key]).toMatchObject({ count, last: count - 1, lastStep: count - 1 });
    const points = await c.navvy.metrics.series({ id, attempt: 1 }, key);
    expect(points.map((point) => [point.step, point.value])).toEqual(Array.from({ length: count }, (_, i) => [i, i]));
  }
});
