import type { Logger } from "pino";
import { isNavvyError } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";
import { containerName } from "../runners/container.js";
import type { Engines } from "../runners/engines.js";
import { ownLabels } from "../runners/labels.js";
import type { Running } from "../running.js";

const EVERY_MS = 60_000;
/** While an engine is away: its tasks wait for it. */
const AWAY_MS = 2_000;

export interface ContainersParts {
  config: AgentConfig;
  engines: Engines;
  running: Running;
  log: Logger;
}

/** Removes this agent's containers that belong to nothing that runs here, and looks whether there is an engine: in good time after a start, then now and then. */
export class ContainersLoop {
  readonly #parts: ContainersParts;
  readonly #timers: NodeJS.Timeout[];
  /** Seen once without an attempt: one that is just being made or removed has no second time. */
  #suspects = new Set<string>();
  #looking: Promise<void> | undefined;

  constructor(parts: ContainersParts) {
    this.#parts = parts;
    this.#timers = [setInterval(() => void this.look(), EVERY_MS), setInterval(() => void (parts.engines.isAway && this.look()), AWAY_MS)];
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#looking;
  }

  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined));
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { engines, log } = this.#parts;
    try {
      await engines.refresh();
      if (engines.current) await this.#sweep();
    } catch (error) {
      if (!isNavvyError(error)) throw error;
      log.warn({ err: error }, "containers could not be looked at");
    }
  }

  async #sweep(): Promise<void> {
    const stray = new Set(await strayContainers(this.#parts));
    const left = [...stray].filter((name) => this.#suspects.has(name));
    this.#suspects = stray;
    await this.#parts.engines.current?.remove(left);
    if (left.length > 0) this.#parts.log.warn({ containers: left }, "containers that were left over are removed");
  }
}

/** At the start, before anything is claimed: whatever has no attempt is an earlier run's. */
export async function removeStrayContainers(parts: ContainersParts): Promise<void> {
  const { engines, log } = parts;
  try {
    const stray = await strayContainers(parts);
    await engines.current?.remove(stray);
    if (stray.length > 0) log.warn({ containers: stray }, "containers that an earlier run left are removed");
  } catch (error) {
    if (!isNavvyError(error)) throw error;
    log.warn({ err: error }, "containers that an earlier run left could not be removed: tried again with the next sweep");
  }
}

async function strayContainers({ config, engines, running }: Pick<ContainersParts, "config" | "engines" | "running">): Promise<string[]> {
  const { "navvy.folder": folder = "" } = ownLabels(config);
  const there = (await engines.current?.list({ "navvy.folder": folder })) ?? [];
  const names = running.all().map(({ key }) => containerName(config.name, key));
  return there.filter((name) => !names.some((own) => name === own || name.startsWith(`${own}.`)));
}
