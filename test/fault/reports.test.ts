import { mkdir, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";

/** A rank writes `$1` points of its own metric into `$2`. */
const RANKS = `
rank() { i=0; while [ $i -lt $1 ]; do echo "{\\"t\\":\\"scalar\\",\\"k\\":\\"$3\\",\\"v\\":$i}" >> "$2"
  [ $((i%20)) != 0 ] || echo "{\\"t\\":\\"media\\",\\"name\\":\\"$3\\",\\"text\\":\\"$i\\",\\"step\\":$i}" >> "$2"
  i=$((i+1)); sleep 0.01; done; }
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
  const shown: Record<string, number[]> = {};
  for await (const { name, step } of c.navvy.metrics.media({ id, attempt: 1 })) (shown[name] ??= []).push(step);
  expect(shown.rank1).toEqual([0, 20, 40, 60, 80, 100, 120, 140, 160, 180]);
  expect(shown.main).toEqual(shown.rank1);
  for (const [key, count] of [
    ["main", 200],
    ["rank1", 200],
    ["rank2", 101],
  ] as const) {
    expect(done.reported.metrics[key]).toMatchObject({ count, last: count - 1, lastStep: count - 1 });
    const points = await c.navvy.metrics.series({ id, attempt: 1 }, key);
    expect(points.map((point) => [point.step, point.value])).toEqual(Array.from({ length: count }, (_, i) => [i, i]));
  }
}, 120_000);

test("what can not be written down before it is taken in waits, and is there at the end all the same", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats);
  const scalar = (value: number) => `echo '{"t":"scalar","k":"loss","v":${value}}' >> "$NAVVY_EVENTS"`;
  const waitFor = (file: string) => `while [ ! -e "$NAVVY_DIR/${file}" ]; do sleep 0.05; done`;
  // A folder in the place of the file is as good as a full disk.
  const script = `mkdir "$NAVVY_DIR/taken.json.next"; ${scalar(1)}; sleep 2; echo reported; ${waitFor("go")}; ${scalar(2)}; ${waitFor("end")}`;
  const id = await c.submit(["sh", "-c", `echo "$NAVVY_DIR"; ${script}`]);
  const values = async () => (await c.navvy.metrics.series({ id, attempt: 1 }, "loss")).map(({ value }) => value);
  const log = await eventually("it has reported", async () => {
    const text = await c.logOf(id);
    return text.includes("reported") && text;
  });
  const dir = log.split("\n")[0] ?? "";
  expect(await values()).toEqual([]);
  await rmdir(join(dir, "taken.json.next"));
  await writeFile(join(dir, "go"), "");
  await eventually("both are taken in", async () => (await values()).length === 2);
  await mkdir(join(dir, "taken.json.next"));
  await writeFile(join(dir, "end"), "");
  expect((await c.ended(id)).reported.metrics.loss).toMatchObject({ count: 2, last: 2 });
  expect(await values()).toEqual([1, 2]);
});
