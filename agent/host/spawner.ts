/**
 * The spawner: a small process beside each agent that starts its tasks, holds them to their deadlines, freezes and kills
 * them, and keeps how they ended.
 *
 * It is a program of its own, `node spawner.js <socket path> <agent>`, for three reasons: forking costs in proportion to the
 * parent's memory, trees and their exit codes outlive an agent that dies, and an agent that hangs can not freeze or end
 * anything in time. Only `node:` modules are imported here. It serves one agent at a time: see {@link Spawner}.
 */
import { createServer, type Server, type Socket } from "node:net";
import { Cgroups } from "./spawner/cgroups.js";
import { Deadline } from "./spawner/deadline.js";
import { Guard } from "./spawner/guard.js";
import { LineWriter, readLines } from "./spawner/lines.js";
import { Trees } from "./spawner/trees.js";
import {
  type AgentHello,
  CGROUPS_VARIABLE,
  type HelloNotice,
  type LeaseRequest,
  monotonicMs,
  type Notice,
  type Request,
  WIRE,
} from "./spawner/wire.js";

/** An agent that has not connected by then died while it started us. */
const FIRST_AGENT_MS = 10_000;

/** Who is at the other end. `foreign`: an agent of another wire, which may only have us leave. */
interface Peer {
  socket: Socket;
  writer: LineWriter<Notice>;
  role: "unknown" | "agent" | "lease" | "foreign";
}

/**
 *   listening ─▶ serving ─▶ (connection gone) orphaned ─▶ expired ─▶ leaving ─▶ ended
 *                  ▲ │                           │ │         │          ▲
 *                  │ └──── shutdown ─────────────┼─┼─────────┼──────────┤
 *                  └─────── an agent connects ───┘ └─ empty ─┼──────────┤
 *                  └─────── an agent connects ───────────────┘ all over ┘
 *
 * Orphaned after `orphanMs` is expired: all trees but those that go on without a lease are killed.
 */
class Spawner {
  readonly #server: Server;
  readonly #cgroups: Cgroups | undefined;
  readonly #trees: Trees;
  readonly #freeze = new Deadline(() => this.#trees.freeze());
  readonly #orphaned = new Deadline(() => this.#expire());
  readonly #peers = new Set<Peer>();
  #agent: Peer | undefined;
  #orphanMs = 0;
  #leaseSentAtMs = Number.NEGATIVE_INFINITY;
  #isExpired = false;
  #isLeaving = false;

  constructor(cgroups: Cgroups | undefined) {
    this.#cgroups = cgroups;
    this.#trees = new Trees({
      cgroups,
      guard: cgroups?.guard ?? new Guard({}),
      send: (notice) => this.#agent?.writer.send(notice),
      isHeard: () => this.#agent !== undefined,
      onFewer: () => this.#leaveWhenIdle(),
    });
    this.#server = createServer((socket) => this.#serve(socket));
  }

  listen(path: string): void {
    // Told on stdout, because the agent has nothing else to wait for before there is a socket.
    this.#server.listen(path, () => process.stdout.write("listening\n"));
    this.#orphaned.moveTo(nowPlus(FIRST_AGENT_MS));
  }

  #serve(socket: Socket): void {
    const peer: Peer = { socket, writer: new LineWriter(socket), role: "unknown" };
    this.#peers.add(peer);
    readLines<Request>(socket, (request) => this.#obey(peer, request));
    // A write to an agent that just died: the close that follows says so.
    socket.on("error", () => {});
    socket.on("close", () => this.#closed(peer));
  }

  #closed(peer: Peer): void {
    this.#peers.delete(peer);
    if (this.#agent !== peer) return;
    this.#agent = undefined;
    // Also what was told into a connection whose agent was dead already.
    this.#trees.abandon();
    if (this.#isLeaving) return;
    this.#orphaned.moveTo(nowPlus(this.#orphanMs));
    this.#leaveWhenIdle();
  }

  #obey(peer: Peer, request: Request): void {
    const { op } = request;
    if (op === "hello") return this.#welcome(peer, request);
    if (op === "lease" && peer.role === "lease") return this.#lease(request);
    if (op === "shutdown" && peer.role === "foreign") return this.#leave();
    // Also what an agent still says that was replaced.
    if (peer !== this.#agent) return;
    switch (op) {
      case "start":
        this.#freeze.check();
        return this.#trees.start(request);
      case "signal":
        return this.#trees.signal(request.key, request.signal);
      case "end":
        return this.#trees.end(request.key, request);
      case "kill":
        return this.#trees.kill(request.key);
      case "pause":
        return this.#trees.pause(request.key);
      case "resume":
        return this.#trees.resume(request.key);
      case "release":
        return this.#trees.release(request.key);
      case "lease":
        return this.#lease(request);
      case "shutdown":
        return this.#leave();
      default:
        // A request of a newer agent under the same wire: one that we can do without.
        return;
    }
  }

  #welcome(peer: Peer, hello: Extract<Request, { op: "hello" }>): void {
    const isOurs = hello.wire === WIRE;
    if (hello.role === "lease") {
      if (!isOurs) return void peer.socket.destroy();
      peer.role = "lease";
      return;
    }
    if (isOurs) this.#takeOver(peer, hello);
    else peer.role = "foreign";
    peer.writer.send(this.#greeting());
  }

  #takeOver(peer: Peer, { agent, orphanMs }: AgentHello): void {
    const former = this.#agent;
    if (former !== undefined) this.#trees.abandon();
    peer.role = "agent";
    this.#agent = peer;
    former?.writer.send({ event: "replaced" });
    former?.writer.flush();
    former?.socket.end();
    // They are the former agent's: it must not keep the lease for this one.
    for (const { role, socket } of this.#peers) if (role === "lease") socket.destroy();
    this.#orphanMs = orphanMs;
    this.#orphaned.moveTo(undefined);
    this.#isExpired = false;
    process.title = `navvy spawner of ${agent}`;
  }

  #greeting(): HelloNotice {
    const { folder: cgroup = null, canLimitPids = false } = this.#cgroups ?? {};
    const { isFrozen } = this.#trees;
    return {
      event: "hello",
      wire: WIRE,
      pid: process.pid,
      isFrozen,
      cgroup,
      canLimitPids,
      holdsContainers: true,
      trees: this.#trees.tell(),
    };
  }

  /**
   * Counts from when the agent sent it: a lease that waited in the socket while we were stopped gives no time, and one that
   * was overtaken on the other line takes none.
   */
  #lease({ freezeInMs, sentAtMs }: LeaseRequest): void {
    if (sentAtMs < this.#leaseSentAtMs) return;
    this.#leaseSentAtMs = sentAtMs;
    const atMs = freezeInMs === null || freezeInMs < 0 ? undefined : sentAtMs + freezeInMs;
    if (atMs === undefined || atMs > nowPlus(0)) this.#trees.thaw();
    this.#freeze.moveTo(atMs);
  }

  #expire(): void {
    this.#isExpired = true;
    this.#trees.killAll({ by: "orphaned", except: "continue" });
    this.#leaveWhenIdle();
  }

  #leaveWhenIdle(): void {
    if (this.#isLeaving) return this.#endWhenOver();
    if (this.#agent !== undefined) return;
    if (this.#trees.isEmpty || (this.#isExpired && !this.#trees.isAlive)) this.#leave();
  }

  #leave(): void {
    if (this.#isLeaving) return;
    this.#isLeaving = true;
    this.#server.close();
    this.#orphaned.moveTo(undefined);
    this.#trees.close();
    this.#trees.killAll({ by: "shutdown" });
    this.#endWhenOver();
  }

  /** Ends by having nothing left to wait for. */
  #endWhenOver(): void {
    if (this.#trees.isAlive) return;
    this.#freeze.moveTo(undefined);
    this.#cgroups?.close();
    for (const { writer, socket } of this.#peers) {
      writer.flush();
      socket.end();
      socket.unref();
    }
  }
}

function nowPlus(delayMs: number): number {
  return monotonicMs() + delayMs;
}

// A terminal's Ctrl-C or a service manager's SIGTERM is for the agent to act on: we end with it, and only then.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});

// oxlint-disable-next-line eslint/no-restricted-properties -- a program of its own, with two arguments
const [, , socketPath, agent] = process.argv;
if (socketPath === undefined || agent === undefined) throw new Error("usage: node spawner.js <socket path> <agent>");
const say = (message: string) => process.stderr.write(`${new Date().toISOString()} ${message}\n`);
new Spawner(process.env[CGROUPS_VARIABLE] === "off" ? undefined : Cgroups.make(agent, say)).listen(socketPath);
