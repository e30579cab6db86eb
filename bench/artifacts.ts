/**
 * Artifacts: put, get and a second put of the same file against bare JetStream publishes and reads of the same bytes, eight messages
 * of 512 KB in flight, and against the client's own object store; in one run on one server, by turns. `npx tsx bench/artifacts.ts [MiB]`
 * prints MiB/s and ratios, and writes them to `bench/results/artifacts.json`. Every put is of other bytes: nothing of it is there.
 */
import { randomFillSync } from "node:crypto";
import { mkdir, open, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import Table from "cli-table3";
import { AckPolicy, DeliverPolicy, DiscardPolicy } from "nats";
import { MIB, type ObjectsBed, objectsBed } from "../test/support/objects.js";
import { residentBytes, startFleet } from "./fleet.js";

const SIZE_MIB = Number(process.argv[2] ?? 1024);
const RUNS = Number(process.argv[3] ?? 3);
/** The client's own store is slow: it gets no more than that. */
const CLIENT_MIB = Math.min(SIZE_MIB, 64);
const WINDOW = 8;
const MESSAGE_BYTES = 512 * 1024;
const BARE = "bare";

/** MiB/s. */
interface Speeds {
  barePut: number;
  bareGet: number;
  put: number;
  get: number;
  again: number;
}

await using bed = await objectsBed();
await bed.bus.jsm.streams.add({ name: BARE, subjects: [BARE], discard: DiscardPolicy.New });

const rounds: Speeds[] = [];
for (let run = 0; run < RUNS; run++) rounds.push(await round(bed, join(bed.folder, `file-${run}`)));
const client = await clients(bed);
const median = (of: (round: Speeds) => number) => rounds.map(of).toSorted((a, b) => a - b)[rounds.length >> 1] ?? 0;
const speeds = Object.fromEntries(
  (["barePut", "bareGet", "put", "get", "again"] as const).map((name) => [name, median((one) => one[name])]),
) as unknown as Speeds;
const ratios = {
  put: median(({ put, barePut }) => put / barePut),
  get: median(({ get, bareGet }) => get / bareGet),
  again: median(({ put, again }) => put / again),
  putToClient: speeds.put / client.put,
  getToClient: speeds.get / client.get,
};
print();
const memory = await agentMemory();
console.log(`an agent whose task leaves ${SIZE_MIB} MiB: ${memory.beforeMib} MiB before, at most ${memory.peakMib} MiB meanwhile`);
const folder = new URL("results/", import.meta.url);
await mkdir(folder, { recursive: true });
const result = {
  sizeMib: SIZE_MIB,
  runs: RUNS,
  node: process.version,
  natsServer: bed.nats.version,
  speeds,
  ratios,
  client,
  memory,
  rounds,
};
await writeFile(new URL("artifacts.json", folder), `${JSON.stringify(result, null, 2)}\n`);

/** Each beside its own measure. */
async function round({ objects, bus, stream }: ObjectsBed, file: string): Promise<Speeds> {
  await writeRandom(file);
  const barePut = SIZE_MIB / (await seconds(() => publishFile(bed, file)));
  let name = "";
  const put = SIZE_MIB / (await seconds(async () => (name = (await objects.putFile(file)).sha256)));
  const again = SIZE_MIB / (await seconds(() => objects.putFile(file)));
  const bareGet = SIZE_MIB / (await seconds(() => consume(bed)));
  const get = SIZE_MIB / (await seconds(() => drain(objects.get(name))));
  await Promise.all([bus.jsm.streams.purge(BARE), bus.jsm.streams.purge(stream), rm(file)]);
  return { barePut, bareGet, put, get, again };
}

/** Read from the file too, with no hash. */
async function publishFile({ bus }: ObjectsBed, file: string): Promise<void> {
  const handle = await open(file, "r");
  const underway: Promise<unknown>[] = [];
  for (let at = 0; at < SIZE_MIB * MIB; at += MESSAGE_BYTES) {
    const { buffer } = await handle.read(Buffer.allocUnsafe(MESSAGE_BYTES), 0, MESSAGE_BYTES, at);
    if (underway.length >= WINDOW) await underway.shift();
    underway.push(bus.js.publish(BARE, buffer));
  }
  await Promise.all(underway);
  await handle.close();
}

async function consume({ bus }: ObjectsBed): Promise<void> {
  const { name } = await bus.jsm.consumers.add(BARE, { ack_policy: AckPolicy.None, deliver_policy: DeliverPolicy.All, mem_storage: true });
  const messages = await (await bus.js.consumers.get(BARE, name)).consume({ max_messages: WINDOW });
  let left = SIZE_MIB * MIB;
  for await (const message of messages) if ((left -= message.data.length) <= 0) break;
  await bus.jsm.consumers.delete(BARE, name);
}

async function clients({ bus }: ObjectsBed): Promise<{ put: number; get: number }> {
  const store = await bus.js.views.os(bus.assets.objects.name);
  const meta = { name: "bench", options: { max_chunk_size: MESSAGE_BYTES } };
  const bytes = randomFillSync(Buffer.alloc(CLIENT_MIB * MIB));
  const put = await seconds(() => store.put(meta, new Blob([bytes]).stream() as never, { timeout: 60_000 }));
  const get = await seconds(async () => {
    const found = await store.get("bench");
    await drain((found?.data ?? []) as AsyncIterable<Uint8Array>);
  });
  await store.delete("bench");
  return { put: CLIENT_MIB / put, get: CLIENT_MIB / get };
}

/** The most that an agent takes while it uploads an artifact of that size, beside what it takes after small ones. */
async function agentMemory(): Promise<{ beforeMib: number; peakMib: number }> {
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
  return { beforeMib: Math.round(before / MIB), peakMib: Math.round(peak / MIB) };
}

async function writeRandom(file: string): Promise<void> {
  const handle = await open(file, "w");
  const block = Buffer.alloc(4 * MIB);
  for (let mib = 0; mib < SIZE_MIB; mib += 4) await handle.write(randomFillSync(block));
  await handle.close();
}

async function drain(content: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of content);
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await work();
  return (performance.now() - start) / 1000;
}

function print(): void {
  const table = new Table({ head: [`${SIZE_MIB} MiB, median of ${RUNS}`, "put MiB/s", "get MiB/s"] });
  const whole = (speed: number) => speed.toFixed(0);
  table.push(["navvy", whole(speeds.put), whole(speeds.get)], ["navvy, the same again", whole(speeds.again), ""]);
  table.push([`JetStream, ${WINDOW} in flight, no hash`, whole(speeds.barePut), whole(speeds.bareGet)]);
  table.push([`the client's object store, ${CLIENT_MIB} MiB`, whole(client.put), whole(client.get)]);
  console.log(table.toString());
  console.log(`of bare JetStream: put ${ratios.put.toFixed(2)}, get ${ratios.get.toFixed(2)}`);
  console.log(`the second put takes ${ratios.again.toFixed(3)} of the first`);
  console.log(`× the client's: put ${ratios.putToClient.toFixed(1)}, get ${ratios.getToClient.toFixed(1)}`);
}
