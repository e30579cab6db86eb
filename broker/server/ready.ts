import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { NavvyError } from "../../protocol/index.js";
import type { Launched } from "./launch.js";
import { type Greeting, greeting } from "./port.js";

/** Which server is waited for. */
export interface ReadyOptions {
  server: Launched;
  binary: string;
  /** Where the server writes its ports file. */
  dir: string;
  host: string;
  /** `start` is where this server's own lines begin; `isKept` tells whether a person can still read it later. */
  log: { path: string; start: number; isKept: boolean };
  /** How long it may take: a large store is read again after a crash. */
  timeoutMs: number;
}

/** How often it is looked whether the server is up, and how long one look may take. */
const LOOK_MS = 15;

/**
 * Waits until the server answers on its port: it opens it only once JetStream has read its store.
 * Throws `setup_failed` with the server's own last words when it ends instead, `timeout` when it takes too long.
 */
export async function ready(options: ReadyOptions): Promise<Greeting & { port: number }> {
  const { server, dir, host, timeoutMs } = options;
  const deadline = performance.now() + timeoutMs;
  while (server.exit() === undefined && performance.now() < deadline) {
    const port = await writtenPort(dir, server.pid);
    const hello = port === undefined ? undefined : await greeting({ host, port });
    if (port !== undefined && hello !== undefined) return { ...hello, port };
    await delay(LOOK_MS);
  }
  throw await notReady(options);
}

/** The file is named for the binary and the process id. Undefined while it is not there or not whole. */
async function writtenPort(dir: string, pid: number): Promise<number | undefined> {
  const name = (await readdir(dir)).find((one) => one.endsWith(`_${pid}.ports`));
  if (name === undefined) return undefined;
  const port = /"(?:nats|tls):\/\/[^"]*:(\d+)"/.exec(await readFile(join(dir, name), "utf8"))?.[1];
  return port === undefined ? undefined : Number(port);
}

async function notReady({ server, binary, log, timeoutMs }: ReadyOptions): Promise<NavvyError> {
  const exit = server.exit();
  const why = (await lastWords(log)) ?? "it said nothing";
  const fix = log.isKept ? `tail -n 30 '${log.path}'` : "name a logFile to keep what it says";
  const options = { why, fix, detail: { pid: server.pid, ...exit } };
  if (exit === undefined) return new NavvyError("timeout", `${binary} did not answer within ${timeoutMs} ms`, options);
  const how = exit.signal === null ? `with code ${exit.code}` : `by ${exit.signal}`;
  return new NavvyError("setup_failed", `${binary} ended ${how} before it was ready`, options);
}

/** The line on which the server gave up, without its process id and time; else the last line it said. */
async function lastWords({ path, start }: ReadyOptions["log"]): Promise<string | undefined> {
  const bytes = await readFile(path);
  const lines = bytes.subarray(start).toString().trim().split("\n");
  const line = lines.findLast((one) => one.includes("[FTL]")) ?? lines.at(-1);
  return line?.replace(/^\[\d+\] \S+ \S+ (\[\w+\] )?/, "") || undefined;
}
