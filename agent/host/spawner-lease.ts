import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type LeaseHello, type LeaseRequest, monotonicMs, WIRE } from "./spawner/wire.js";

/**
 * A line to the spawner that carries the lease and nothing else, for a worker thread: an agent whose main thread is busy for
 * longer than its lease must not have its trees frozen while it can still renew.
 *
 * It never reconnects: a spawner does not come back, and one that let another agent take over wants no leases of this one.
 * Only `node:` modules are imported here.
 */
export class LeaseLine {
  readonly #socket: Socket;
  /** Resolves when the line is closed, by whichever side. */
  readonly closed: Promise<void>;

  /** Rejects with the socket's error when nobody listens there. Open it once the agent itself is connected. */
  static async open(socketPath: string): Promise<LeaseLine> {
    const socket = connect(socketPath);
    await once(socket, "connect");
    return new LeaseLine(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", () => resolve()));
    // What went wrong is told by the close that follows.
    socket.on("error", () => {});
    // Nothing comes, but the end of the stream is seen only by who reads.
    socket.resume();
    this.#send({ op: "hello", role: "lease", wire: WIRE });
  }

  /** Trees are frozen that many milliseconds from now unless this is called again, here or by the agent; null: never. */
  lease(freezeInMs: number | null): void {
    this.#send({ op: "lease", freezeInMs, sentAtMs: monotonicMs() });
  }

  /** Means nothing by itself: the last lease holds. */
  close(): void {
    this.#socket.end();
  }

  #send(request: LeaseHello | LeaseRequest): void {
    if (this.#socket.writable) this.#socket.write(`${JSON.stringify(request)}\n`);
  }
}
