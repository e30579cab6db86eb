import { setTimeout as delay } from "node:timers/promises";
import { type Proxy, startProxy } from "../support/tcp-proxy.js";

/** Shares of the time in which a slow link lets something through. */
const SLOW = { heldMs: 220, openMs: 40 };

/** The way of one agent to its server: whole, held, dropped or slow. */
export class Link {
  readonly #proxy: Proxy;

  private constructor(proxy: Proxy) {
    this.#proxy = proxy;
  }

  static async open(targetPort: number): Promise<Link> {
    return new Link(await startProxy(targetPort));
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#proxy.port}`;
  }

  /** Resolves once it is whole again. */
  async cut(how: "hold" | "drop", forMs: number): Promise<void> {
    this.#proxy.cut(how);
    await delay(forMs);
    this.#proxy.heal();
  }

  /** Everything arrives, late and in bursts. Resolves once it is whole again. */
  async slow(forMs: number): Promise<void> {
    const untilMs = performance.now() + forMs;
    while (performance.now() < untilMs) {
      await this.cut("hold", SLOW.heldMs);
      await delay(SLOW.openMs);
    }
  }

  close(): Promise<void> {
    return this.#proxy.close();
  }
}
