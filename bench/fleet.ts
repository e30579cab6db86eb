import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, findServer, type Navvy, startServer } from "../broker/index.js";

/** A fleet for one measurement: a server and an agent in processes of their own, and a client here. */
export interface BenchFleet extends AsyncDisposable {
  url: string;
  folder: string;
  navvy: Navvy;
  agent: ChildProcess;
  serverVersion: string;
  serverPid: number;
}

const DIST = fileURLToPath(new URL("../dist/", import.meta.url));

/** The agent is the compiled one, started as people start it. */
export async function startFleet(options: { slots: number; nodeOptions?: string[] }): Promise<BenchFleet> {
  const folder = await mkdtemp(join(tmpdir(), "navvy-bench-"));
  const server = await startServer({ storeDir: join(folder, "nats"), binary: (await findServer()).path });
  const navvy = await connect({ servers: server.url, actor: "bench" });
  const agent = spawn(
    process.execPath,
    [
      ...(options.nodeOptions ?? []),
      join(DIST, "cli", "main.js"),
      "agent",
      "start",
      "--name",
      "bench",
      "--slots",
      String(options.slots),
      "--work-dir",
      join(folder, "agent"),
    ],
    { env: { ...process.env, NAVVY_SERVER: server.url }, stdio: ["ignore", "ignore", "inherit"] },
  );
  await untilUp(navvy);
  return {
    url: server.url,
    folder,
    navvy,
    agent,
    serverVersion: server.version,
    serverPid: server.pid,
    async [Symbol.asyncDispose]() {
      agent.kill("SIGTERM");
      await once(agent, "exit");
      await navvy.close();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function untilUp(navvy: Navvy): Promise<void> {
  for await (const _beat of navvy.fleet.beats()) return;
}

/** Resident memory of a process in bytes. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) * 1024;
}

/** Processor time that a process has used, in seconds. */
export async function processorSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export function quantile(values: number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN;
}

export const median = (values: number[]): number => quantile(values, 0.5);

/** Prints the table and writes the same as JSON to `bench/results/<name>.json`. */
export async function report(name: string, rows: Record<string, string | number>[], facts: Record<string, unknown>): Promise<void> {
  console.table(rows);
  const folder = fileURLToPath(new URL("./results/", import.meta.url));
  await mkdir(folder, { recursive: true });
  const machine = { node: process.version, cpus: cpus().length, model: cpus()[0]?.model, at: new Date().toISOString() };
  await writeFile(join(folder, `${name}.json`), `${JSON.stringify({ name, machine, ...facts, rows }, null, 2)}\n`);
}

/** Calls `act` for 0 … count-1, `width` at a time. */
export async function eachOf(count: number, width: number, act: (i: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
