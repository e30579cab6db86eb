import { randomBytes } from "node:crypto";
import { appendFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import pino from "pino";
import { expect, test } from "vitest";
import type { Logs } from "../../broker/index.js";
import { LogAssembler } from "../../broker/log-assembler.js";
import type { LogChunk } from "../../protocol/index.js";
import { eventually } from "../../test/support/eventually.js";
import { tempFolder } from "../../test/support/folder.js";
import { folderAt } from "./folder.js";
import { LogShipper } from "./log-shipper.js";
import { SetupLog } from "./setup-log.js";

const MIB = 2 ** 20;

/** A store that keeps what is published; the bytes are copied, as the frame is used again. */
function store() {
  const chunks: LogChunk[] = [];
  const publish = async (_target: unknown, chunk: Omit<LogChunk, "type">) => {
    const kept = { type: "navvy.log.v1" as const, ...chunk, data: Uint8Array.from(chunk.data) };
    await new Promise((resolve) => setImmediate(resolve));
    chunks.push(kept);
  };
  return { chunks, logs: { publish } as unknown as Logs };
}

function shipped(chunks: LogChunk[], stream = "out") {
  const assembler = new LogAssembler();
  const pieces = [...chunks.flatMap((chunk) => [...assembler.take(1, chunk)]), ...assembler.rest()].filter((one) => one.stream === stream);
  const omitted = pieces.reduce((sum, piece) => sum + (piece.omitted ?? 0), 0);
  return { pieces, omitted, bytes: Buffer.concat(pieces.map((piece) => piece.data)) };
}

const parts = (root: string, logs: Logs, logLimitBytes: number) => {
  const folder = folderAt(root);
  const common = { target: { id: "T", attempt: 1 }, signal: new AbortController().signal, log: pino({ enabled: false }) };
  return { ...common, folder, logs, logLimitBytes, setupLog: new SetupLog(folder) };
};

test("of a log over its limit the start and the end are shipped, and between them how much is not there", async () => {
  await using home = await tempFolder();
  const { chunks, logs } = store();
  const shipper = new LogShipper(parts(home.path, logs, MIB));
  const bytes = randomBytes(5 * MIB);
  writeFileSync(join(home.path, "stdout"), bytes);
  writeFileSync(join(home.path, "stderr"), "a word\n");
  await shipper.drain();
  expect(shipper.isHeld).toBe(true);
  await eventually("the start is stored, and nothing of the rest waits", async () => (await shipper.waitingBytes()) === 0);
  await shipper.drain({ isOver: true });
  expect(await shipper.finish()).toEqual({ out: 5 * MIB, err: 7 });
  const { pieces, omitted, bytes: kept } = shipped(chunks);
  expect(kept.length + omitted).toBe(bytes.length);
  expect(kept.length).toBe(MIB - 7);
  expect(kept.equals(Buffer.concat([bytes.subarray(0, MIB / 2 - 7), bytes.subarray(-MIB / 2)]))).toBe(true);
  expect(pieces.filter((piece) => piece.omitted !== undefined)).toHaveLength(1);
  expect(shipped(chunks, "err").bytes.toString()).toBe("a word\n");
});

test("a log that is as long as its limit is shipped as a whole", async () => {
  await using home = await tempFolder();
  const { chunks, logs } = store();
  const shipper = new LogShipper(parts(home.path, logs, MIB));
  const bytes = randomBytes(MIB);
  writeFileSync(join(home.path, "stdout"), bytes);
  await shipper.drain({ isOver: true });
  await shipper.finish();
  expect(shipped(chunks)).toMatchObject({ omitted: 0 });
  expect(shipped(chunks).bytes.equals(bytes)).toBe(true);
});

test("the disk of what is left out is given back, and an agent that takes over ships nothing of it", async () => {
  await using home = await tempFolder();
  const { chunks, logs } = store();
  const shipper = new LogShipper(parts(home.path, logs, 8 * MIB));
  const spool = join(home.path, "stdout");
  const bytes = randomBytes(16 * MIB);
  writeFileSync(spool, bytes);
  const diskBytes = () => statSync(spool).blocks * 512;
  await eventually("the disk is given back", async () => {
    await shipper.drain();
    shipper.squeeze();
    return diskBytes() < 4 * MIB;
  });
  await shipper.close();
  const more = randomBytes(100_000);
  appendFileSync(spool, more);
  const next = await LogShipper.resume(parts(home.path, logs, 8 * MIB));
  await next.drain({ isOver: true });
  expect(await next.finish()).toMatchObject({ out: 16 * MIB + 100_000 });
  const { omitted, bytes: kept } = shipped(chunks);
  expect(kept.length + omitted).toBe(16 * MIB + 100_000);
  expect(kept.equals(Buffer.concat([bytes.subarray(0, 4 * MIB), Buffer.concat([bytes, more]).subarray(4 * MIB + omitted)]))).toBe(true);
});

test("the disk of what is stored is given back while a task prints, and all of it arrives", async () => {
  await using home = await tempFolder();
  const { chunks, logs } = store();
  const shipper = new LogShipper(parts(home.path, logs, 2 ** 30));
  shipper.squeeze();
  const spool = join(home.path, "stdout");
  const bytes = randomBytes(16 * MIB);
  writeFileSync(spool, bytes);
  await eventually("the disk is given back", async () => {
    await shipper.drain();
    return statSync(spool).blocks * 512 < MIB;
  });
  await shipper.drain({ isOver: true });
  await shipper.finish();
  expect(shipped(chunks).bytes.equals(bytes)).toBe(true);
  expect(statSync(spool).size).toBe(16 * MIB);
});
