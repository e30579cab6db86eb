/**
 * The spawner: a small process beside each agent that starts its tasks, freezes and kills them, and keeps their exit codes.
 *
 * It is a program of its own, `node spawner.js <socket path>`, for three reasons: forking costs in proportion to the
 * parent's memory, exit codes survive an agent that dies, and an agent that hangs can not freeze anything in time.
 * Only `node:` modules are imported here. It serves one agent at a time and ends with it: see {@link Spawner}.
 */
import { createServer, type Server, type Socket } from "node:net";
import { Deadline } from "./spawner/deadline.js";
import { Trees } from "./spawner/trees.js";
import { LineWriter, monotonicMs, type Notice, type Request, readLines } from "./spawner/wire.js";

/** An agent that has not connected by then died while it started us. */
const FIRST_AGENT_MS = 10_000;

/**
 *   listening ─▶ serving ─▶ (connection gone) orphaned ─▶ leaving ─▶ ended
 *                  ▲ │                           │  │          ▲
 *                  │ └──── shutdown ─────────────┼──┼──────────┤
 *                  └─────── an agent connects ───┘  └ orphanMs ┘
 */
class Spawner {
  readonly #server: Server;
  readonly #trees = new Trees(
    (notice) => this.#writer?.send(notice),
    () => this.#writer !== undefined,
  );
  readonly #freeze = new Deadline(() => this.#trees.freeze());
  readonly #orphaned = new Deadline(() => this.#leave());
  #writer: LineWriter<Notice> | undefined;
  #socket: Socket | undefined;
  #orphanMs = 0;
  #isLeaving = false;

  constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  listen(path: string): void {
    // Told on stdout, because the agent has nothing else to wait for before there is a socket.
    this.#server.listen(path, () => process.stdout.write("listening\n"));
    this.#orphaned.moveTo(nowPlus(FIRST_AGENT_MS));
  }

  #serve(socket: Socket): void {
    this.#socket?.destroy();
    this.#socket = socket;
    this.#writer = new LineWriter(socket);
    this.#orphaned.moveTo(undefined);
    readLines<Request>(socket, (request) => this.#obey(request));
    // A write to an agent that just died: the close that follows says so.
    socket.on("error", () => {});
    socket.on("close", () => {
      if (this.#socket !== socket || this.#isLeaving) return;
      this.#writer = undefined;
      this.#orphaned.moveTo(nowPlus(this.#orphanMs));
    });
  }

  #obey(request: Request): void {
    switch (request.op) {
      case "hello":
        this.#orphanMs = request.orphanMs;
        process.title = `navvy spawner of ${request.agent}`;
        return;
      case "start":
        return this.#trees.start(request);
      case "signal":
        return this.#trees.signal(request.key, request.signal);
      case "kill":
        return this.#trees.kill(request.key);
      case "lease":
        return this.#lease(request.freezeInMs, request.sentAtMs);
      case "shutdown":
        return this.#leave();
    }
  }

  /** Counts from when the agent sent it: a lease that waited in the socket while we were stopped gives no time. */
  #lease(freezeInMs: number | null, sentAtMs: number): void {
    const atMs = freezeInMs === null || freezeInMs < 0 ? undefined : sentAtMs + freezeInMs;
    if (atMs === undefined || atMs > nowPlus(0)) this.#trees.thaw();
    this.#freeze.moveTo(atMs);
  }

  /** Ends by having nothing left to wait for. */
  #leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#server.close();
    this.#orphaned.moveTo(undefined);
    this.#trees.killAll(() => {
      this.#freeze.moveTo(undefined);
      this.#writer?.flush();
      this.#socket?.end();
      this.#socket?.unref();
    });
  }
}

function nowPlus(delayMs: number): number {
  return monotonicMs() + delayMs;
}

// A terminal's Ctrl-C or a service manager's SIGTERM is for the agent to act on: we end with it, and only then.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

// oxlint-disable-next-line eslint/no-restricted-properties -- a program of its own, with one argument
const [, , socketPath] = process.argv;
if (socketPath === undefined) throw new Error("usage: node spawner.js <socket path>");
new Spawner().listen(socketPath);
