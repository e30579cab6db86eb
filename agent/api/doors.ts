import type { Server as HttpServer } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import type { ApiLimits } from "./limits.js";

/** What waits behind a door: an HTTP server, made when the first client comes. */
export type Behind = () => Promise<HttpServer>;

export interface DoorOptions {
  behind: Behind;
  limits: ApiLimits;
  /** More than that are turned away; or, with `isShared`, push out the one that has waited longest without a request. */
  connections: number;
  isShared?: boolean;
  /** Called with each connection that comes in. */
  onSocket?: (socket: Socket) => void;
}

/**
 * Where clients come in: a Unix socket or a port. The connections go to one HTTP server, so that a door costs next to nothing until
 * somebody comes. A client that takes its time with a request's head is cut: `http` does that only for servers that listen themselves.
 */
export class Door {
  readonly #options: DoorOptions;
  readonly #server: Server;
  /** By the time of their last answer, for those without a request. */
  readonly #idle = new Set<Socket>();
  readonly #open = new Set<Socket>();

  constructor(options: DoorOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true }, (socket) => this.#enter(socket));
    if (!options.isShared) this.#server.maxConnections = options.connections;
  }

  /** @throws what the system says: the address is taken, the path is too long */
  listen(where: string | { host: string; port: number }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      const ready = () => {
        this.#server.off("error", reject);
        this.#server.on("error", () => undefined); // too many open files: the next one is taken again
        this.#server.unref();
        resolve();
      };
      if (typeof where === "string") this.#server.listen(where, ready);
      else this.#server.listen(where.port, where.host, ready);
    });
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** The connections too. A path that was listened on is gone. */
  close(): void {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
  }

  #enter(socket: Socket): void {
    const { limits, connections, isShared, onSocket } = this.#options;
    if (isShared && this.#open.size >= connections) [...this.#idle].at(0)?.destroy();
    if (isShared && this.#open.size >= connections) return void socket.destroy();
    this.#open.add(socket);
    onSocket?.(socket);
    socket.on("error", () => undefined);
    let late: NodeJS.Timeout | undefined;
    this.#idle.add(socket);
    const wait = (limitMs: number) => {
      this.#idle.add(socket);
      late = setTimeout(() => socket.destroy(), limitMs);
    };
    socket.on("navvy:request", () => {
      clearTimeout(late);
      this.#idle.delete(socket);
    });
    socket.on("navvy:answered", () => wait(limits.keepMs));
    socket.once("close", () => {
      clearTimeout(late);
      this.#idle.delete(socket);
      this.#open.delete(socket);
    });
    this.#options.behind().then(
      (server) => {
        wait(limits.headMs);
        server.emit("connection", socket);
      },
      () => socket.destroy(),
    );
  }
}
