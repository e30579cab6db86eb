import { access, readdir, readFile } from "node:fs/promises";
import type { Beat } from "../../protocol/index.js";
import { succeeds } from "./succeeds.js";

interface Counters {
  rx: number;
  tx: number;
  atMs: number;
}

/**
 * Bytes per second over the machine's network cards together.
 *
 * Read from /proc in one go: systeminformation starts a shell with seven processes per interface, which grows dear with the
 * agent's memory. Without /proc the rates are 0.
 */
export class Network {
  readonly #interfaces: ReadonlySet<string>;
  #last: Counters;

  static async probe(): Promise<Network> {
    const interfaces = await listCards();
    return new Network(interfaces, await count(interfaces));
  }

  private constructor(interfaces: ReadonlySet<string>, first: Counters) {
    this.#interfaces = interfaces;
    this.#last = first;
  }

  /** Since the last call. */
  async rates(): Promise<Beat["network"]> {
    const now = await count(this.#interfaces);
    const seconds = (now.atMs - this.#last.atMs) / 1000;
    // A counter goes back when its interface is made anew.
    const rate = (bytes: number) => (seconds > 0 ? Math.max(0, Math.round(bytes / seconds)) : 0);
    const rates = { rxBytesPerSec: rate(now.rx - this.#last.rx), txBytesPerSec: rate(now.tx - this.#last.tx) };
    this.#last = now;
    return rates;
  }
}

/** Cards of hardware, so that a bridge does not count the same bytes again; inside a container there are none: all but loopback. */
async function listCards(): Promise<Set<string>> {
  const names = (await readdir("/sys/class/net").catch(() => [])).filter((name) => name !== "lo");
  const isCard = await Promise.all(names.map((name) => succeeds(access(`/sys/class/net/${name}/device`))));
  const cards = names.filter((_, i) => isCard[i]);
  return new Set(cards.length > 0 ? cards : names);
}

async function count(interfaces: ReadonlySet<string>): Promise<Counters> {
  const text = await readFile("/proc/net/dev", "latin1").catch(() => "");
  const total = { rx: 0, tx: 0, atMs: performance.now() };
  for (const line of text.split("\n")) {
    const [name = "", figures = ""] = line.split(":");
    if (!interfaces.has(name.trim())) continue;
    const fields = figures.trim().split(/\s+/).map(Number);
    total.rx += fields[0] ?? 0;
    total.tx += fields[8] ?? 0;
  }
  return total;
}
