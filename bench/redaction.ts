/**
 * What redaction costs: bytes per second of processor time through it, beside a search for one value by Buffer.indexOf and a plain copy of the same bytes in
 * the same run; and what a filter adds to the start and the end of a task.
 *
 *   npx tsx bench/redaction.ts [--mib N]
 */

import { execFileSync } from "node:child_process";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { closeSync, constants, openSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { automatonOf } from "../agent/host/redaction/patterns.js";
import { Redactor } from "../agent/host/redaction/redactor.js";
import { startFilter } from "../agent/host/redaction.js";
import { quantile, report } from "./fleet.js";

const CHUNK_BYTES = 64 * 1024;
const ROUNDS = 5;
const STARTS = 10;

const { values } = parseArgs({ options: { mib: { type: "string", default: "32" } } });
const size = Number(values.mib) * 2 ** 20;
const token = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz012345";
const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const log = Buffer.from(Array.from({ length: 2_000 }, (_, i) => `epoch ${i} loss=${Math.sin(i)} lr=0.001 ${i * 7} tok/s\n`).join(""));

const rows = [
  row("log lines, one token", log, [token]),
  row("log lines, a token and a key file", log, [token, key]),
  row("random bytes, a token and a key file", randomBytes(2 ** 20), [token, key]),
];
const [bare, filtered] = [await starts(false), await starts(true)];
const started = { what: "start and end of a program, ms", bare: quantile(bare, 0.5), filtered: quantile(filtered, 0.5) };
await report("redaction", [...rows, started], { mib: Number(values.mib) });

function row(what: string, text: Buffer, secrets: string[]): Record<string, string | number> {
  const automaton = automatonOf(secrets);
  const redact = perSecond(text, () => {
    const redactor = new Redactor(automaton);
    return (chunk) => redactor.push(chunk).length;
  });
  const copy = perSecond(text, () => (chunk) => Buffer.from(chunk).length);
  const search = perSecond(text, () => (chunk) => chunk.indexOf(token));
  return {
    what,
    "MB/s": Math.round(redact),
    "of a copy": Number((redact / copy).toFixed(3)),
    "of one indexOf": Number((redact / search).toFixed(3)),
  };
}

/** Megabytes per second of processor time, the best of some rounds: the machine may do other things too. */
function perSecond(text: Buffer, make: () => (chunk: Buffer) => number): number {
  const rates = Array.from({ length: ROUNDS }, () => {
    const take = make();
    const started = process.cpuUsage();
    let bytes = 0;
    while (bytes < size) {
      for (let at = 0; at < text.length; at += CHUNK_BYTES) take(text.subarray(at, at + CHUNK_BYTES));
      bytes += text.length;
    }
    const { user, system } = process.cpuUsage(started);
    return bytes / (user + system);
  });
  return Math.max(...rates);
}

async function starts(isFiltered: boolean): Promise<number[]> {
  const folder = await mkdtemp(join(tmpdir(), "navvy-redaction-"));
  try {
    const all: number[] = [];
    for (let i = 0; i < STARTS; i++) all.push(await start(folder, { isFiltered, i }));
    return all;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function start(folder: string, { isFiltered, i }: { isFiltered: boolean; i: number }): Promise<number> {
  const at = (name: string) => join(folder, `${name}-${i}`);
  const started = performance.now();
  const order = { agent: "bench", values: [token], streams: [{ pipe: at("pipe"), file: at("out") }], socketPath: at("sock") };
  const filter = isFiltered ? await startFilter(order) : undefined;
  const output = openSync(isFiltered ? at("pipe") : at("out"), constants.O_WRONLY | (isFiltered ? 0 : constants.O_CREAT));
  execFileSync("echo", [token], { stdio: ["ignore", output, "ignore"] });
  closeSync(output);
  await filter?.over();
  return performance.now() - started;
}
