/**
 * A log of 200 MB of text: reading it from the stream, rolling it into one object, and reading it from there; and the memory that
 * takes. Aim: an object is read at least half as fast as the stream, and memory does not grow with the log.
 *
 *   npx tsx bench/rolled-logs.ts [--mb N] [--rounds N]
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { connect, findServer, Session, startServer } from "../broker/index.js";
import { median, report, residentBytes } from "./fleet.js";

const { values } = parseArgs({ options: { mb: { type: "string", default: "200" }, rounds: { type: "string", default: "3" } } });
const CHUNK_BYTES = 256 * 1024;
const chunks = Math.ceil((Number(values.mb) * 1e6) / CHUNK_BYTES);
const totalBytes = chunks * CHUNK_BYTES;
const storeDir = await mkdtemp(join(tmpdir(), "navvy-bench-"));
const server = await startServer({ storeDir, binary: (await findServer()).path });
const navvy = await connect({ servers: server.url });
const rows = [];
const memory: { before: number; peak: number }[] = [];
try {
  for (let round = 1; round <= Number(values.rounds); round++) {
    const id = await printed();
    const stream = totalBytes / 1e6 / (await seconds(() => read(id)));
    const before = await residentBytes(process.pid);
    let peak = before;
    const watcher = setInterval(() => void residentBytes(process.pid).then((bytes) => (peak = Math.max(peak, bytes))), 20);
    const roll = totalBytes / 1e6 / (await seconds(() => navvy.logs.roll({ id, attempt: 1 })));
    clearInterval(watcher);
    memory.push({ before, peak });
    const object = totalBytes / 1e6 / (await seconds(() => read(id)));
    const { log } = (await navvy.tasks.get(id)).attempts[0] ?? {};
    rows.push({
      round,
      "stream MB/s": Math.round(stream),
      "roll MB/s": Math.round(roll),
      "object MB/s": Math.round(object),
      "compressed to": Number(((log?.sizeBytes ?? 0) / totalBytes).toFixed(3)),
      ratio: Number((object / stream).toFixed(2)),
    });
  }
} finally {
  await navvy.close();
  await server.stop();
  await rm(storeDir, { recursive: true, force: true });
}
const mib = (bytes: number) => Math.round(bytes / 2 ** 20);
await report("rolled-logs", rows, {
  totalBytes,
  medianRatio: median(rows.map(({ ratio }) => ratio)),
  memoryMiB: memory.map(({ before, peak }) => ({ before: mib(before), peak: mib(peak) })),
});
for (const { before, peak } of memory) console.log(`memory while rolling: ${mib(before)} MiB before, ${mib(peak)} MiB at its peak`);

/** A task that printed lines such as programs print them. */
async function printed(): Promise<string> {
  const session = await Session.open(navvy.bus, { agent: "bench", leaseMs: 60_000 });
  const { id } = await navvy.tasks.create({ name: "printer", spec: { command: ["true"] } });
  const { ticket } = await navvy.tasks.enqueue(id, { queue: "default" });
  const claim = await navvy.tasks.claims.claim({ id, ticket }, session.owner, { isHeld: () => false });
  if (!claim) throw new Error("the task could not be claimed");
  let line = 0;
  let pending = "";
  for (let chunk = 0; chunk < chunks; chunk++) {
    while (pending.length < CHUNK_BYTES)
      pending += `2026-11-22 08:30:${String(line % 60).padStart(2, "0")} step ${line++} loss ${Math.random().toFixed(6)} lr 0.0003\n`;
    const at = new Date().toISOString();
    const data = Buffer.from(pending.slice(0, CHUNK_BYTES));
    await navvy.logs.publish({ id, attempt: 1 }, { stream: "out", offset: chunk * CHUNK_BYTES, at, data });
    pending = pending.slice(CHUNK_BYTES);
  }
  await navvy.tasks.claims.finish(claim, { kind: "exited", code: 0 }, { reported: claim.record.reported, logBytes: { out: totalBytes } });
  await session.release();
  return id;
}

async function read(id: string): Promise<void> {
  let bytes = 0;
  for await (const { data } of navvy.logs.read(await navvy.tasks.get(id))) bytes += data.length;
  if (bytes !== totalBytes) throw new Error(`${bytes} bytes came of ${totalBytes}`);
}

async function seconds(act: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await act();
  return (performance.now() - started) / 1000;
}
