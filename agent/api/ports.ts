import { networkInterfaces } from "node:os";
import type { Logger } from "pino";
import type { Engine } from "../runners/engine.js";
import { after } from "../task/after.js";
import type { Door } from "./doors.js";
import type { ApiMemory } from "./memory.js";

export interface PortsParts {
  memory: ApiMemory;
  log: Pick<Logger, "warn">;
  makeDoor: () => Door;
}

const LOOPBACK = "127.0.0.1";
const TRIES = 5;
const TRY_EVERY_MS = 200;
/** The interface of each engine's default bridge; it carries the address at which containers find the host. */
const BRIDGES: Record<Engine["name"], string[]> = { docker: ["docker0"], podman: ["podman0", "cni-podman0"], nerdctl: ["nerdctl0"] };

/** The TCP addresses of an agent's API: loopback, and the one that containers on the default bridge reach. The same port over restarts. */
export class Ports {
  readonly #parts: PortsParts;
  readonly #doors: Door[] = [];
  #port: number | undefined;
  #gateway: Promise<string | undefined> | undefined;

  constructor(parts: PortsParts) {
    this.#parts = parts;
  }

  /** Never throws: an agent without a port still has its tasks' sockets. */
  async open(): Promise<void> {
    const { memory, log } = this.#parts;
    const opened = (memory.port && (await this.#again(memory.port))) || (await this.#tryListen({ host: LOOPBACK, port: 0 }));
    this.#port = opened || undefined;
    if (!opened) return log.warn({}, "no local port could be opened: tasks have the socket alone");
    if (memory.port && memory.port !== opened)
      log.warn({ port: memory.port }, "the port of an earlier run is taken: what it left has the old one");
    if (memory.port !== opened) await memory.keep({ port: opened });
  }

  /** Where a process of this machine finds it. */
  get host(): string | undefined {
    return this.#port === undefined ? undefined : `${LOOPBACK}:${this.#port}`;
  }

  /** Where a container finds it; undefined: it can not. */
  async hostFor(engine: Pick<Engine, "name" | "isRootless">, network: string | undefined): Promise<string | undefined> {
    if (network === "host") return this.host;
    if (this.#port === undefined || engine.isRootless || (network !== undefined && network !== "bridge")) return undefined;
    const address = BRIDGES[engine.name].flatMap((name) => networkInterfaces()[name] ?? []).find((one) => one.family === "IPv4")?.address;
    if (address === undefined) return undefined;
    this.#gateway ??= this.#openGateway(address);
    const open = await this.#gateway;
    return open === undefined ? undefined : `${open}:${this.#port}`;
  }

  /** For a container that an earlier run of the agent left. */
  async reopenGateway(): Promise<void> {
    const { gateway } = this.#parts.memory;
    if (this.#port !== undefined && gateway !== undefined) await (this.#gateway ??= this.#openGateway(gateway));
  }

  close(): void {
    for (const door of this.#doors) door.close();
  }

  async #openGateway(address: string): Promise<string | undefined> {
    const { memory } = this.#parts;
    if (!(await this.#tryListen({ host: address, port: this.#port ?? 0 }))) return undefined;
    if (memory.gateway !== address) await memory.keep({ gateway: address });
    return address;
  }

  /** The run before this one may be on its way out. */
  async #again(port: number): Promise<number | undefined> {
    for (let tries = 0; tries < TRIES; tries++) {
      const opened = await this.#tryListen({ host: LOOPBACK, port });
      if (opened) return opened;
      await new Promise<void>((resolve) => after(TRY_EVERY_MS, resolve));
    }
    return undefined;
  }

  async #tryListen(where: { host: string; port: number }): Promise<number | undefined> {
    const door = this.#parts.makeDoor();
    try {
      await door.listen(where);
      this.#doors.push(door);
      return door.port;
    } catch {
      return undefined; // taken, or not an address of this machine
    }
  }
}
