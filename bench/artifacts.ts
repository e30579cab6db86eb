/**
 * Artifacts: our put and get against the client's own object store and against bare JetStream publishes of the same
 * bytes, in one run on one server. `npx tsx bench/artifacts.ts [MB]` prints MB/s and ratios, and writes them to
 * `bench/results/artifacts.json`.
 */
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import Table from "cli-table3";
import { DiscardPolicy } from "nats";
import { MIB, type ObjectsBed, objectsBed } from "../test/support/objects.js";
import { residentBytes, startFleet } from "./fleet.js";

const SIZE_MIB = Number(process.argv[2] ?? 256);
const RUNS = 3;
const WINDOW = 8;
const CHUNK_BYTES = 512 * 1024;
const BARE = "bare";

interface Row {
  what: string;
  putMibPerSecond: number;
  getMibPerSecond: number | undefined;
}

const content = randomBytes(SIZE_MIB * MIB);
await using bed = await objectsBed();
await bed.bus.jsm.streams.add({ name: BARE, subjects: [BARE], discard: DiscardPolicy.New });

const runs: Row[][] = [];
for (let run = 0; run < RUNS; run++) runs.push([await ours(bed), await clients(bed), await bare(bed)]);
const rows = (runs[0] ?? []).map((row, i) => ({
  what: row.what,
  putMibPerSecond: median(runs.map((run) => run[i]?.putMibPerSecond ?? 0)),
  getMibPerSecond: row.getMibPerSecond && median(runs.map((run) => run[i]?.getMibPerSecond ?? 0)),
}));
const [own, client, floor] = rows as [Row, Row, Row];
const ratios = {
  putToClient: own.putMibPerSecond / client.putMibPerSecond,
  getToClient: (own.getMibPerSecond ?? 0) / (client.getMibPerSecond ?? 1),
  putToBarePublish: own.putMibPerSecond / floor.putMibPerSecond,
};
print(rows);
const agentMemory = await agentGrowth();
console.log(`an agent whose task leaves ${SIZE_MIB} MiB grows by ${agentMemory.growthMib} MiB (from ${agentMemory.beforeMib} MiB)`);
await save({ agentMemory, sizeMib: SIZE_MIB, runs: RUNS, node: process.version, natsServer: bed.nats.version, rows, ratios });

async function ours({ objects }: ObjectsBed): Promise<Row> {
  let name = "";
  const put = await seconds(async () => {
    name = (await objects.putStream(slices())).sha256; // a stream: the same work as the others, no look whether it is there
  });
  const get = await seconds(async () => {
    for await (const _ of objects.get(name));
  });
  await objects.delete(name);
  return { what: "navvy", putMibPerSecond: SIZE_MIB / put, getMibPerSecond: SIZE_MIB / get };
}

async function clients({ bus }: ObjectsBed): Promise<Row> {
  const store = await bus.js.views.os(bus.assets.objects.name);
  const meta = { name: "bench", options: { max_chunk_size: CHUNK_BYTES } };
  const put = await seconds(() => store.put(meta, ReadableStream.from(slices()) as never, { timeout: 60_000 }));
  const get = await seconds(async () => {
    const found = await store.get("bench");
    for await (const _ of (found?.data ?? []) as AsyncIterable<Uint8Array>);
  });
  await store.delete("bench");
  return { what: "the client's object store", putMibPerSecond: SIZE_MIB / put, getMibPerSecond: SIZE_MIB / get };
}

async function bare({ bus }: ObjectsBed): Promise<Row> {
  const put = await seconds(async () => {
    const underway: Promise<unknown>[] = [];
    for await (const slice of slices()) {
      if (underway.length >= WINDOW) await underway.shift();
      underway.push(bus.js.publish(BARE, slice));
    }
    await Promise.all(underway);
  });
  await bus.jsm.streams.purge(BARE);
  return { what: `JetStream publishes, ${WINDOW} in flight, no hash`, putMibPerSecond: SIZE_MIB / put, getMibPerSecond: undefined };
}

/** The most that an agent's memory grows by while it uploads an artifact of that size, over what it is after a small one. */
async function agentGrowth(): Promise<{ beforeMib: number; growthMib: number }> {
  await using fleet = await startFleet({ slots: 1 });
  const pid = fleet.agent.pid ?? 0;
  const leave = async (mib: number) => {
    const task = await fleet.navvy.tasks.create({
      name: "big",
      spec: { command: ["sh", "-c", `head -c ${mib}M /dev/urandom > "$NAVVY_ARTIFACTS/big"`] },
    });
    await fleet.navvy.tasks.enqueue(task.id, { queue: "default" });
    await fleet.navvy.tasks.wait(task.id);
  };
  for (let i = 0; i < 3; i++) await leave(8);
  const before = await residentBytes(pid);
  let peak = before;
  const watching = setInterval(() => void residentBytes(pid).then((bytes) => (peak = Math.max(peak, bytes))), 10);
  await leave(SIZE_MIB);
  clearInterval(watching);
  return { beforeMib: Math.round(before / MIB), growthMib: Math.round((peak - before) / MIB) };
}

async function* slices(): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += CHUNK_BYTES) yield content.subarray(at, at + CHUNK_BYTES);
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}

function print(measured: Row[]): void {
  const table = new Table({ head: [`${SIZE_MIB} MiB, median of ${RUNS}`, "put MiB/s", "get MiB/s", "put ×", "get ×"] });
  for (const row of measured) {
    const get = row.getMibPerSecond;
    table.push([
      row.what,
      row.putMibPerSecond.toFixed(0),
      get?.toFixed(0) ?? "–",
      (row.putMibPerSecond / client.putMibPerSecond).toFixed(1),
      get ? (get / (client.getMibPerSecond ?? 1)).toFixed(1) : "–",
    ]);
  }
  console.log(table.toString());
  console.log(`× the client's; of bare publishes navvy reaches ${(100 * ratios.putToBarePublish).toFixed(0)} %`);
}

async function save(result: unknown): Promise<void> {
  const folder = new URL("results/", import.meta.url);
  await mkdir(folder, { recursive: true });
  await writeFile(new URL("artifacts.json", folder), `${JSON.stringify(result, null, 2)}\n`);
}
