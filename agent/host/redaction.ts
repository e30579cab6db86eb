import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { NavvyError } from "../../protocol/index.js";
import type { StreamPlace } from "./redaction/filtered-stream.js";
import type { FilterOrder } from "./redaction-filter.js";
import { KEY_VARIABLE } from "./spawner/wire.js";

export type { Automaton } from "./redaction/automaton.js";
export { automatonOf } from "./redaction/patterns.js";
export { redactFile } from "./redaction/redact-file.js";
export { redactText } from "./redaction/redactor.js";

/** The tables of long values take some megabytes; what passes through takes next to nothing. */
const NODE_FLAGS = ["--max-old-space-size=128", "--max-semi-space-size=1"];
/** What still writes that long after the end of its task is not waited for. */
const STRAGGLERS_MS = 3_000;
/** Nothing but a full disk keeps it from ending then, or a machine that is very busy. */
const END_WITHIN_MS = 30_000;

/** A filter that runs, or has ended. */
export class Filter {
  readonly #socket: Socket;
  readonly #closed: Promise<void>;

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#closed = socket.closed ? Promise.resolve() : new Promise((resolve) => socket.once("close", () => resolve()));
    socket.on("error", () => {}); // the close that follows says so
    socket.resume();
    socket.unref(); // it outlives us
  }

  /** Its task has ended: resolves when all that it printed is in its files. */
  async over(): Promise<void> {
    this.#socket.ref();
    if (await within(STRAGGLERS_MS, this.#closed)) return;
    this.end();
    await within(END_WITHIN_MS, this.#closed);
    this.#socket.destroy();
  }

  /** Has it end with what was printed until now. */
  end(): void {
    if (!this.#socket.closed) this.#socket.write("end\n");
  }
}

/** Who is filtered, and the one that it is done for, for process lists. */
export interface FilterOptions extends FilterOrder {
  agent: string;
}

/**
 * Makes the pipes and starts the filter that reads them; whoever opens a pipe for writing from now on does not wait.
 * @throws NavvyError internal: it does not come up
 */
export async function startFilter({ agent, ...order }: FilterOptions): Promise<Filter> {
  await makePipes(order.streams);
  // Not the options of the agent's Node: loaders would make it large. Of the environment nothing but what marks a test run.
  const { NAVVY_TEST_RUN } = process.env;
  const child = spawn(process.execPath, [...NODE_FLAGS, programPath(), agent], {
    detached: true,
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...(NAVVY_TEST_RUN ? { NAVVY_TEST_RUN } : {}), [KEY_VARIABLE]: undefined },
    cwd: "/",
  });
  child.on("error", () => {}); // the end of its output says so
  child.stdin.on("error", () => {});
  child.stdin.end(JSON.stringify(order));
  const complaint = text(child.stderr).catch(() => "");
  const isReady = await Promise.race([once(child.stdout, "data").then(() => true), once(child, "close").then(() => false)]);
  if (!isReady) throw notUp(await complaint);
  const filter = await findFilter(order.socketPath);
  child.stdout.destroy();
  child.stderr.destroy();
  child.unref();
  if (filter === undefined) throw notUp("it ended at once");
  return filter;
}

/** The one that listens there; undefined: it has ended. */
export async function findFilter(socketPath: string): Promise<Filter | undefined> {
  const socket = connect(socketPath);
  try {
    await once(socket, "connect");
    return new Filter(socket);
  } catch {
    return undefined; // nobody listens there any more
  }
}

/** Real ones, and not those of Node, which are sockets: a program may open its `/dev/stdout`. */
async function makePipes(streams: StreamPlace[]): Promise<void> {
  try {
    await promisify(execFile)("mkfifo", ["-m", "600", "--", ...streams.map(({ pipe }) => pipe)]);
  } catch (cause) {
    throw new NavvyError("internal", "the pipes that a task's output is to be redacted through can not be made with mkfifo", { cause });
  }
}

function notUp(why: string): NavvyError {
  return new NavvyError("internal", "the process that redacts a task's output did not start", { why: why.trim().split("\n").at(-1) ?? "" });
}

/** Whether it resolved in time. */
async function within(limitMs: number, done: Promise<void>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), limitMs)));
  try {
    return await Promise.race([done.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Beside this module once compiled; run from source (tests), the build's. */
function programPath(): string {
  const isSource = import.meta.url.endsWith(".ts");
  return fileURLToPath(new URL(isSource ? "../../dist/agent/host/redaction-filter.js" : "./redaction-filter.js", import.meta.url));
}
