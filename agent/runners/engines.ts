import { isNavvyError, NavvyError } from "../../protocol/index.js";
import { ENGINE_NAMES, Engine, type EngineName } from "./engine.js";

/** `auto`: the first engine that answers, if any; `process`: no containers here. */
export const RUNTIMES = ["auto", ...ENGINE_NAMES, "process"] as const;
export type Runtime = (typeof RUNTIMES)[number];

interface EngineLog {
  warn(detail: object, message: string): void;
}

/** The container engine of an agent: found at its start, looked for again while it is away. */
export class Engines {
  readonly #runtime: Runtime;
  readonly #log: EngineLog;
  readonly #env: NodeJS.ProcessEnv;
  #engine: Engine | undefined;
  #isAway = false;
  readonly #listeners: (() => void)[] = [];

  /** @throws NavvyError not_found, engine_unreachable: an engine that was asked for by its name must be there */
  static async find(runtime: Runtime, { log, env }: { log: EngineLog; env: NodeJS.ProcessEnv }): Promise<Engines> {
    const engines = new Engines(runtime, log, env);
    await engines.#probe(runtime !== "auto" && runtime !== "process");
    return engines;
  }

  private constructor(runtime: Runtime, log: EngineLog, env: NodeJS.ProcessEnv) {
    this.#runtime = runtime;
    this.#log = log;
    this.#env = env;
  }

  /** The one that containers are made with, as of the last look; undefined: none can be made here. */
  get current(): Engine | undefined {
    return this.#engine;
  }

  /** There is one, and it does not answer just now. */
  get isAway(): boolean {
    return this.#isAway;
  }

  /** Calls back whenever an engine comes or goes. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Looks again. */
  refresh(): Promise<void> {
    return this.#probe(false);
  }

  /** @throws NavvyError engine_unreachable */
  async require(): Promise<Engine> {
    if (this.#engine === undefined) await this.#probe(false);
    if (this.#engine !== undefined) return this.#engine;
    throw new NavvyError("engine_unreachable", "no container engine answers on this machine", { fix: "docker info" });
  }

  /** The one that a container was made with, also when another is used by now. @throws NavvyError not_found, engine_unreachable */
  async named(name: string): Promise<Engine> {
    if (this.#engine?.name === name) return this.#engine;
    return Engine.probe(name as EngineName, this.#env);
  }

  async #probe(isAskedFor: boolean): Promise<void> {
    const names = this.#runtime === "process" ? [] : this.#runtime === "auto" ? ENGINE_NAMES : [this.#runtime];
    for (const name of names) {
      try {
        const engine = await Engine.probe(name, this.#env, () => this.#lose());
        this.#isAway = false;
        return this.#use(engine);
      } catch (error) {
        if (isAskedFor || !isNavvyError(error)) throw error;
        if (error.code !== "not_found") this.#tellAway(error);
      }
    }
    this.#use(undefined);
  }

  #use(engine: Engine | undefined): void {
    const hasChanged = this.#engine?.name !== engine?.name;
    this.#engine = engine;
    if (hasChanged) for (const listener of this.#listeners) listener();
  }

  /** It failed to answer in the midst of work: until it answers again nothing is taken for it. */
  #lose(): void {
    if (this.#engine === undefined) return;
    this.#tellAway(new NavvyError("engine_unreachable", `the container engine does not answer any more: ${this.#engine.name}`));
    this.#use(undefined);
  }

  /** Once, and not at every look. */
  #tellAway(error: Error): void {
    if (!this.#isAway) this.#log.warn({ err: error }, "the container engine does not answer: no tasks with an image are taken");
    this.#isAway = true;
  }
}
