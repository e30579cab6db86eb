import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { NavvyError } from "../../protocol/index.js";
import { findServer } from "./find.js";
import { type Exit, endProcess, type Launched, type LaunchOptions, launch } from "./launch.js";
import { checkPort } from "./port.js";
import { ready } from "./ready.js";
import { openLog, openStore, type Store } from "./store.js";

/** How to start a server of our own. */
export interface StartServerOptions {
  /** Where JetStream keeps its files. Default: a temporary folder that is removed with the server. */
  storeDir?: string;
  /** Default (also 0 and -1): a free one of the system's choosing. */
  port?: number;
  /** Default `127.0.0.1`: nobody outside this machine reaches a server without passwords. */
  host?: string;
  /** Default true. */
  jetstream?: boolean;
  /** More configuration in the server's own format; host, port and store folder win over it. */
  config?: string;
  /** Default: `nats-server.log` in the store. Lines are appended. */
  logFile?: string;
  /** Default: what `findServer` finds. */
  binary?: string;
  /** True: the server outlives this process. Default false: it ends with it, also after a kill -9. */
  detached?: boolean;
  /** How long the server may take to answer. Default 60,000: after a crash it reads its whole store. */
  readyMs?: number;
  /** How long it may take to end by itself before it is killed. Default 5,000. */
  graceMs?: number;
  /** Gets one line about where the server came from. */
  say?: (line: string) => void;
}

/** A running nats-server that we started. */
export interface EmbeddedServer extends AsyncDisposable {
  /** `nats://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly version: string;
  readonly storeDir: string;
  readonly logFile: string;
  /** Fulfilled when the process has ended, whatever ended it. */
  readonly exited: Promise<Exit>;
  /** Ends it: SIGTERM, a grace, SIGKILL. Then the store is free again. Calling it twice is fine. */
  stop(): Promise<void>;
}

/**
 * Starts a nats-server and waits until it answers.
 * Throws `setup_failed` (no server found, port taken, store in use or not writable, the server refuses its
 * configuration), `disk_full`, or `timeout`. Nothing is left running then.
 */
export async function startServer(options: StartServerOptions = {}): Promise<EmbeddedServer> {
  const { host = "127.0.0.1", graceMs = 5_000, say } = options;
  // The server itself takes 0 for its default port.
  const port = options.port || -1;
  const binary = options.binary ?? (await findServer({ say })).path;
  await checkPort(host, port);
  const store = await openStore(options.storeDir);
  try {
    const started = await startOn(store, { ...options, host, port, binary });
    const stop = once(() => end(started.server, { store, graceMs }));
    const url = `nats://${host.includes(":") ? `[${host}]` : host}:${started.port}`;
    await store.lock.handOver(started.server.pid, { url, version: started.version });
    const { pid, exited } = started.server;
    const { version, logFile } = started;
    return { url, port: started.port, pid, version, storeDir: store.dir, logFile, exited, stop, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await store.release();
    throw error;
  }
}

type Settled = StartServerOptions & { host: string; port: number; binary: string };

/** Starts the process on a store that is ours, and ends it again when it does not come up. */
async function startOn(store: Store, options: Settled): Promise<{ server: Launched; port: number; version: string; logFile: string }> {
  const { binary, host, detached = false, readyMs = 60_000 } = options;
  const logFile = options.logFile ?? join(store.dir, "nats-server.log");
  const isKept = !store.isTemporary || options.logFile !== undefined;
  const args = await argumentsFor(store, options);
  const { server, start } = await launchLogged(logFile, { binary, args, detached, folder: store.isTemporary ? store.dir : undefined });
  try {
    const hello = await ready({ server, binary, dir: store.dir, host, log: { path: logFile, start, isKept }, timeoutMs: readyMs });
    return { server, port: hello.port, version: hello.version, logFile };
  } catch (error) {
    await endProcess(server, 0);
    throw error;
  }
}

/** Starts the process with its output appended to the log; `start` is where its own lines begin there. */
async function launchLogged(logFile: string, options: Omit<LaunchOptions, "logFd">): Promise<{ server: Launched; start: number }> {
  const log = await openLog(logFile);
  try {
    return { server: await launch({ ...options, logFd: log.fd }), start: log.start };
  } catch (error) {
    const why = (error as Error).message;
    throw new NavvyError("setup_failed", `${options.binary} can not be started`, { why, cause: error, fix: "unset NAVVY_NATS_SERVER" });
  } finally {
    await log.close();
  }
}

/** Flags and not the file, where both could say it: the server lets flags win. */
async function argumentsFor(store: Store, { host, port, jetstream = true, config }: Settled): Promise<string[]> {
  const args = ["-a", host, "-p", String(port), "--ports_file_dir", store.dir];
  if (jetstream) args.push("-js", "-sd", store.dir);
  if (config === undefined) return args;
  const file = join(store.dir, "server.conf");
  // May hold passwords.
  await writeFile(file, config, { mode: 0o600 });
  return [...args, "-c", file];
}

async function end(server: Launched, { store, graceMs }: { store: Store; graceMs: number }): Promise<void> {
  await endProcess(server, graceMs);
  await store.release();
}

function once(action: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  return () => (running ??= action());
}
