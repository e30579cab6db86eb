import { statfs } from "node:fs/promises";
import type { AgentConfig } from "../config.js";
import type { Disposable } from "../host/disposable.js";
import type { InputCache } from "../host/input-cache.js";
import type { Environments } from "../setup/environments.js";
import { isExpired, keptFolders } from "../task/kept.js";

const EVERY_MS = 60_000;
/** Between two looks that were asked for. */
const AT_MOST_EVERY_MS = 1_000;

export interface CleanParts {
  config: Pick<AgentConfig, "folder" | "keepDays" | "maxEnvironmentsBytes" | "maxInputsBytes" | "keepFreeDiskBytes" | "log">;
  environments: Environments;
  inputs: InputCache;
}

/**
 * Keeps what stays on the agent's disk within its bounds: kept folders for their days, environments and inputs within their sizes, and of
 * all only as much as leaves the disk free enough to go on taking work.
 */
export class CleanLoop {
  readonly #parts: CleanParts;
  readonly #timer: NodeJS.Timeout;
  #soon: NodeJS.Timeout | undefined;
  #cleaning: Promise<void> | undefined;
  #isStopped = false;

  constructor(parts: CleanParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.soon(), EVERY_MS);
    this.soon();
  }

  /** Looks within a second: something new lies there, or the disk is short. */
  soon(): void {
    if (this.#isStopped) return;
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined;
      this.#cleaning ??= this.#clean().finally(() => (this.#cleaning = undefined));
    }, AT_MOST_EVERY_MS);
  }

  /** How the machine does: cleans when its disk is short. */
  take({ disk }: { disk: { freeBytes: number; totalBytes: number } }): void {
    if (disk.totalBytes > 0 && disk.freeBytes < this.#parts.config.keepFreeDiskBytes) this.soon();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    await this.#cleaning;
  }

  async #clean(): Promise<void> {
    const { config, environments, inputs } = this.#parts;
    try {
      for (const kept of await keptFolders(config)) if (isExpired(config, kept)) await this.#dispose(kept, "its days are over");
      await this.#bound(environments, config.maxEnvironmentsBytes, "over the limit of --max-environments");
      await this.#bound(inputs, config.maxInputsBytes, "over the limit of --max-inputs");
      if (await this.#isShort())
        await this.#makeRoom([...(await keptFolders(config)), ...(await environments.idle()), ...(await inputs.idle())]);
    } catch (error) {
      config.log.warn({ err: error }, "the agent's folder could not be cleaned up");
    }
  }

  async #bound(cache: Pick<Environments, "size" | "idle">, maxBytes: number, why: string): Promise<void> {
    let bytes = await cache.size();
    if (bytes <= maxBytes) return;
    for (const idle of oldestFirst(await cache.idle())) {
      if (bytes <= maxBytes) return;
      await this.#dispose(idle, why);
      bytes -= idle.sizeBytes ?? 0;
    }
  }

  /** Whatever was not used for the longest time goes first, caches and kept folders alike. */
  async #makeRoom(all: Disposable[]): Promise<void> {
    for (const one of oldestFirst(all)) {
      if (!(await this.#isShort())) return;
      await this.#dispose(one, "the disk is short");
    }
  }

  async #isShort(): Promise<boolean> {
    const { bavail, bsize } = await statfs(this.#parts.config.folder);
    return bavail * bsize < this.#parts.config.keepFreeDiskBytes;
  }

  async #dispose(one: Disposable, why: string): Promise<void> {
    await one.dispose();
    this.#parts.config.log.info({ what: one.what, why }, "removed to keep the agent's folder within its bounds");
  }
}

function oldestFirst(all: Disposable[]): Disposable[] {
  return all.toSorted((a, b) => a.usedAtMs - b.usedAtMs);
}
