import { setTimeout as delay } from "node:timers/promises";
import { ErrorCode, Events, type NatsConnection } from "nats";
import { NavvyError } from "../../protocol/index.js";
import { isNats, mayPass as mayPassInJetStream } from "../nats-error.js";

const RETRY_MS = 250;

/** The connection broke under a request: whether it was carried out is not known. */
class LinkLost extends Error {
  override readonly name = "LinkLost";
}

/** True when the same request may be answered later: no answer came, or the connection broke. */
export function mayPass(error: unknown): boolean {
  return isLinkLost(error) || (mayPassInJetStream(error) && !isNats(error, ErrorCode.ConnectionClosed, ErrorCode.ConnectionDraining));
}

export function isLinkLost(error: unknown): boolean {
  return error instanceof LinkLost;
}

/**
 * Watches one connection break and come back. The client leaves requests in flight to time out and drops what is
 * published while it is disconnected; an upload must know at once, and must not send chunk n+1 on the new connection
 * while chunk n was lost with the old one. `generation` rises with every break, before anything can go out anew.
 */
export class Link {
  readonly patienceMs: number;
  readonly #nc: NatsConnection;
  readonly #waiting = new Set<() => void>();
  #generation = 0;
  #isUp = true;

  constructor(nc: NatsConnection, patienceMs: number) {
    this.#nc = nc;
    this.patienceMs = patienceMs;
    void this.#follow();
  }

  get generation(): number {
    return this.#generation;
  }

  /** The reply, or a rejection as soon as the connection of `generation` is gone. */
  hold<T>(generation: number, reply: Promise<T>): Promise<T> {
    if (generation !== this.#generation) return Promise.reject(new LinkLost());
    return new Promise((resolve, reject) => {
      const onChange = () => {
        if (generation !== this.#generation) reject(new LinkLost());
      };
      this.#waiting.add(onChange);
      reply.then(resolve, reject).finally(() => this.#waiting.delete(onChange));
    });
  }

  /** Waits a moment, and then until the connection stands or `timeoutMs` is over. */
  async settle(timeoutMs: number): Promise<void> {
    await delay(Math.min(RETRY_MS, timeoutMs));
    if (this.#isUp || this.#nc.isClosed()) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#waiting.add(done);
    });
  }

  /** Repeats a request that can be repeated without harm, until it is answered or patience ends. */
  async persist<T>(request: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + this.patienceMs;
    for (;;) {
      try {
        return await this.hold(this.#generation, request());
      } catch (error) {
        const leftMs = deadline - performance.now();
        if (!mayPass(error) || leftMs <= 0) throw isLinkLost(error) ? this.gaveUp("request", error) : error;
        await this.settle(leftMs);
      }
    }
  }

  gaveUp(doing: string, cause: unknown): NavvyError {
    const code = this.#isUp ? "timeout" : "nats_unreachable";
    return new NavvyError(code, `${doing}: no answer from NATS for ${this.patienceMs / 1000} s, given up`, {
      cause,
      why: this.#isUp
        ? "the server is frozen, overloaded or out of reach, or its disk is full"
        : "the connection is gone and did not come back",
      fix: "navvy doctor",
    });
  }

  async #follow(): Promise<void> {
    for await (const status of this.#nc.status()) {
      if (status.type === Events.Disconnect) this.#change(false);
      else if (status.type === Events.Reconnect) this.#change(true);
    }
    this.#change(false); // closed for good
  }

  #change(isUp: boolean): void {
    this.#isUp = isUp;
    if (!isUp) this.#generation++;
    for (const wake of this.#waiting) wake();
  }
}
