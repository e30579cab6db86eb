import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { LineWriter, readLines } from "./lines.js";
import { type HelloNotice, type Notice, type Request, WIRE } from "./wire.js";

/** A spawner that is stopped or swamped does not answer; one that is well does so at once. */
const ANSWER_MS = 5_000;

/** The agent's connection to a spawner. What the spawner says waits until somebody hears it. */
export class SpawnerLink {
  readonly #socket: Socket;
  readonly #writer: LineWriter<Request>;
  readonly #waiting: Notice[] = [];
  #onNotice: ((notice: Notice) => void) | undefined;

  /** Rejects with the socket's error when nobody listens there. */
  static async connect(socketPath: string): Promise<SpawnerLink> {
    const socket = connect(socketPath);
    await once(socket, "connect");
    return new SpawnerLink(socket);
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#writer = new LineWriter(socket);
    readLines<Notice>(socket, (notice) => {
      if (this.#onNotice === undefined) this.#waiting.push(notice);
      else this.#onNotice(notice);
    });
    // What went wrong is told by the close that follows.
    socket.on("error", () => {});
  }

  send(request: Request): void {
    this.#writer.send(request);
  }

  /** Says who we are. @returns what the spawner answers; undefined: it closed the connection, or is silent */
  async greet({ agent, orphanMs }: { agent: string; orphanMs: number }): Promise<HelloNotice | undefined> {
    this.send({ op: "hello", role: "agent", wire: WIRE, agent, orphanMs });
    return await new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), ANSWER_MS);
      const settle = (hello: HelloNotice | undefined) => {
        clearTimeout(timer);
        this.#onNotice = undefined;
        resolve(hello);
      };
      this.#socket.once("close", () => settle(undefined));
      this.#onNotice = (notice) => {
        if (notice.event === "hello") settle(notice);
      };
    });
  }

  /** From now on; first what has waited. `onClosed` comes last, also when the connection is closed already. */
  hear(onNotice: (notice: Notice) => void, onClosed: () => void): void {
    for (const notice of this.#waiting.splice(0)) onNotice(notice);
    this.#onNotice = onNotice;
    if (this.#socket.closed) onClosed();
    else this.#socket.once("close", onClosed);
  }

  /** Resolves once the connection is closed from the other side. */
  async closed(): Promise<void> {
    if (!this.#socket.closed) await once(this.#socket, "close");
  }

  get isClosed(): boolean {
    return this.#socket.closed;
  }

  /** Sends what waits and ends the connection, without waiting for the other side: it may be stopped. */
  async detach(): Promise<void> {
    this.#writer.flush();
    await new Promise<void>((resolve) => this.#socket.end(resolve));
    this.#socket.unref();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}
