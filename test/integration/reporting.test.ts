import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import type { MediaItem } from "../../protocol/index.js";
import { type Client, client, spawnAgent } from "../support/agent.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const python = (script: string) => ["python3", "-c", `import json, os\nevents = open(os.environ["NAVVY_EVENTS"], "a")\n${script}`];

async function cli(nats: { url: string }, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, ...args], { env: { ...process.env, NAVVY_SERVER: nats.url } });
  return stdout;
}

async function mediaOf(c: Client, id: string): Promise<MediaItem[]> {
  const items: MediaItem[] = [];
  for await (const item of c.navvy.metrics.media({ id, attempt: 1 })) items.push(item);
  return items;
}

test("plots, tables, histograms, images, text and a summary are kept, listed and given back byte for byte, beside points", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  await using _agent = await spawnAgent(nats);
  const id = await c.submit(
    python(`
def say(**line): events.write(json.dumps(line) + "\\n"); events.flush()
open("cat.png", "wb").write(bytes(range(256)) * 1000)
say(t="scalar", k="loss", v=float("nan"), step=1)
say(t="media", name="samples/cat", path="cat.png", step=1, caption="a cat")
say(t="plot", name="confusion", spec={"mark": "rect", "data": {"values": []}}, step=1)
say(t="plot", name="curve", spec={"data": [{"type": "scatter"}], "layout": {}}, step=1)
say(t="table", name="predictions", columns=["id", "p"], rows=[[1, 0.5]])
say(t="histogram", name="weights", values=[1, 2, 2, float("inf")])
say(t="media", name="answer", text="größe")
say(t="media", name="gone", path="not-there.png")
say(t="param", k="optimizer", v="adamw")
say(t="note", text="epoch 1", key="epoch"); say(t="note", text="epoch 2", key="epoch")
say(t="scalar", k="loss", v=0.5, step=2)
open(os.environ["NAVVY_SUMMARY"], "w").write("# Result\\n\\nIt **works**.\\n")`),
  );
  const done = await c.ended(id);
  expect(done.reported.notes.map((note) => note.text)).toEqual(["media gone was left out: there is no file not-there.png", "epoch 2"]);
  expect(done.reported.params).toEqual({ optimizer: "adamw" });
  const items = await mediaOf(c, id);
  expect(items.map(({ kind, name, step }) => [kind, name, step])).toEqual([
    ["image", "samples/cat", 1],
    ["plot", "confusion", 1],
    ["plot", "curve", 1],
    ["table", "predictions", 0],
    ["histogram", "weights", 0],
    ["text", "answer", 0],
  ]);
  expect(Buffer.from(items[5]?.data ?? []).toString()).toBe("größe");
  expect((await c.navvy.metrics.series({ id, attempt: 1 }, "loss")).map((point) => point.value)).toEqual([Number.NaN, 0.5]);
  expect(await cli(nats, "task", "metrics", id, "--media")).toMatch(/samples\/cat +image +1 +image\/png +250 KiB +a cat/);
  expect(await cli(nats, "task", "metrics", id, "--key", "loss", "-o", "json")).toContain('"value": "nan"');
  await cli(nats, "task", "media", id, "samples/cat", "--to", folder.path);
  expect(readFileSync(join(folder.path, "samples_cat-1.png"))).toEqual(
    Buffer.concat(Array.from({ length: 1000 }, () => Buffer.from([...Array(256).keys()]))),
  );
  expect(await cli(nats, "task", "summary", id)).toBe("# Result\n\nIt **works**.\n");
  expect(await cli(nats, "task", "show", id)).toMatch(/summary +24 B/);
});

test("whatever a task writes into its reports, it ends as it would have, what can be read is there, and the rest is counted and told", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats);
  const wild = c.submit(
    python(`
def say(**line): events.write(json.dumps(line) + "\\n")
for i in range(50000): say(t="scalar", k="m%d" % i, v=i)
say(t="scalar", k="x" * 10000, v=1)
for name in ["a/../../etc/passwd", "..", "/abs", "\\u0000", "größe"]:
  say(t="scalar", k=name, v=1); say(t="media", name=name, text=name); say(t="output", k=name, v=name)
events.write("\\n".join(["{broken", "[]", "null", '{"t":7}', '"' + "y" * 3000000, '{"t":"scalar","k":"late"}']) + "\\n")
say(t="output", k="huge", v="z" * 900000)
say(t="scalars", kv={"m1": 7, "m2": "inf"}, step=-5)
say(t="scalars", kv={"m1": 8}, step=1e300)
events.flush(); os.mkdir(os.path.join(os.environ["NAVVY_DIR"], "events-dir.jsonl")); os.write(1, b"fine\\n")`),
  );
  const calm = c.submit(["sh", "-c", `for i in 1 2 3; do echo '{"t":"scalar","k":"a","v":1}' >> "$NAVVY_EVENTS"; sleep 0.2; done`]);
  expect((await c.ended(await calm)).reported).toMatchObject({ metrics: { a: { count: 3, lastStep: 2 } }, notes: [] });
  const id = await wild;
  const { status, reported } = await c.ended(id);
  expect([status, await c.logOf(id)]).toEqual(["completed", "fine\n"]);
  expect(Object.keys(reported.metrics)).toHaveLength(200);
  expect(reported.metricsOmitted).toBe(4_800);
  expect(reported.metrics.m1).toMatchObject({ last: 8, lastStep: 1e300, count: 3 });
  expect(reported.metrics.m2?.last).toBe(Number.POSITIVE_INFINITY);
  expect(reported.outputs).toEqual(Object.fromEntries(["a/../../etc/passwd", "..", "/abs", "\0", "größe"].map((name) => [name, name])));
  const notes = reported.notes.map((note) => note.text);
  expect(notes).toEqual([
    expect.stringMatching(/^a metric was left out: its name of 10000 characters, x{60}…/),
    "line 50017 of events.jsonl was left out: not JSON",
    'line 50018 of events.jsonl was left out: no "t" field',
    'line 50019 of events.jsonl was left out: no "t" field',
    expect.stringMatching(/^output huge not taken/),
    "a task has at most 5000 different metrics: 45005 points of further ones were left out",
    "6 lines in all were left out, the first 3 are told above",
  ]);
  expect((await mediaOf(c, id)).map((item) => item.name)).toEqual(["a/../../etc/passwd", "..", "/abs", "\0", "größe"]);
});

test("each attempt's points are kept apart", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats);
  const script = `echo '{"t":"scalar","k":"a","v":'$NAVVY_ATTEMPT'}' >> "$NAVVY_EVENTS"; [ $NAVVY_ATTEMPT = 2 ]`;
  const id = await c.submit(["sh", "-c", script], { spec: { retries: { limit: 1, backoffMs: 10 } } });
  expect((await c.ended(id)).reported.metrics.a).toMatchObject({ count: 1, last: 2 });
  for (const attempt of [1, 2]) expect((await c.navvy.metrics.series({ id, attempt }, "a")).map((point) => point.value)).toEqual([attempt]);
});

test("lists and controllers ask for what was reported without reading series, and a condition that can not be read is shown with its place", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats);
  const ids = await Promise.all(
    [0.5, 0.95, "nan"].map((acc, i) =>
      c.submit([
        "sh",
        "-c",
        `echo '{"t":"scalars","kv":{"val/acc":${JSON.stringify(acc)},"epoch":10}}' >> "$NAVVY_EVENTS"; echo best=${i} >> "$NAVVY_OUTPUT"`,
      ]),
    ),
  );
  for (const id of ids) await c.ended(id);
  const ls = async (where: string) => (await cli(nats, "task", "ls", "--where", where, "-o", "name")).trim().split("\n");
  expect(await ls("val/acc.max > 0.9 and epoch >= 10")).toEqual([ids[1]]);
  expect(await ls("val/acc == nan or best == 0")).toHaveLength(2);
  const controller = `import { Task } from "navvy/controller";
    const task = await Task.get("${ids[1]}"); console.log(task.meets("val/acc.max > 0.9"), task.meets("val/acc > 0.96")); await task.close();`;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", controller], {
    env: { ...process.env, NAVVY_SERVER: nats.url },
    cwd: fileURLToPath(new URL("../..", import.meta.url)),
  });
  expect(stdout).toBe("true false\n");
  const refused = await cli(nats, "task", "ls", "--where", "val/acc.max > 0.9 and").catch(
    (error: { code: number; stderr: string }) => error,
  );
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining("  val/acc.max > 0.9 and\n                       ^") });
});
