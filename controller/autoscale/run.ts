import type { Navvy } from "../../broker/index.js";
import { NavvyError } from "../../protocol/index.js";
import { task as ownTask } from "../../task/index.js";
import { stopping, waiting } from "../ending.js";
import { isAway, patiently } from "../patience.js";
import type { Task } from "../task.js";
import type { AutoscaleConfig } from "./definition.js";
import { FleetWatch } from "./fleet-look.js";
import { KeptMemory } from "./memory.js";
import { type Action, after, type Look, type Memory, NOTHING, noticed, plan, startFailed } from "./plan.js";

/** What is run for a machine: a line for the shell, or words. Resolves with its exit code, also when it was given up for its time. */
export type RunCommand = (command: string | string[], options: { env: Record<string, string>; timeoutMs: number }) => Promise<number>;

export interface AutoscaleParts {
  navvy: Navvy;
  me: Task;
  config: AutoscaleConfig;
  runCommand: RunCommand;
  say: (line: string) => void;
}

/** So often the command to stop a machine is tried. */
const STOP_TRIES = 5;

/**
 * Starts and stops machines until it is asked to end; they stay as they are then.
 * @throws NavvyError aborted
 */
export function runAutoscale(parts: AutoscaleParts): Promise<never> {
  return waiting(async () => {
    const watch = await FleetWatch.open(parts.navvy, parts.config);
    try {
      return await new Autoscaler(parts, watch).run();
    } finally {
      watch.close();
    }
  });
}

class Autoscaler {
  readonly #parts: AutoscaleParts;
  readonly #watch: FleetWatch;
  readonly #kept: KeptMemory;
  /** Machines whose command runs just now. */
  readonly #busy = new Set<string>();
  #memory: Memory = NOTHING;
  #saving: Promise<void> = Promise.resolve();
  #failure: unknown;
  #page = "";
  #lastSaid = "";

  constructor(parts: AutoscaleParts, watch: FleetWatch) {
    this.#parts = parts;
    this.#watch = watch;
    this.#kept = new KeptMemory(parts.navvy, parts.me.id);
  }

  async run(): Promise<never> {
    this.#memory = await this.#kept.load();
    for (;;) {
      await pause(this.#parts.config.every);
      if (stopping.aborted) throw new NavvyError("aborted", "the autoscaler was asked to end", { why: "machines stay as they are" });
      if (this.#failure !== undefined) throw this.#failure;
      const look = await this.#lasting(() => this.#watch.look());
      await this.#keep(noticed(this.#memory, look));
      for (const action of plan(this.#parts.config, this.#memory, look)) await this.#take(action, look);
      this.#report(look);
    }
  }

  /** What is about to be done is kept first: a start that nobody remembers would be a machine that nobody stops. */
  async #take(action: Action, look: Look): Promise<void> {
    const { config, say } = this.#parts;
    const names = action.kind === "start" ? action.names : [action.name];
    // One that has come is at work, also while the command that starts others beside it goes on.
    if (action.kind !== "came" && names.some((name) => this.#busy.has(name))) return;
    const line = `${action.kind} ${names.join(" ")}: ${action.why}`;
    const isDone = action.kind === "came" || action.kind === "adopt" || action.kind === "forget";
    if (config.dryRun && !isDone) {
      if (this.#lastSaid !== line) say(`would ${line}`);
      this.#lastSaid = line;
      return;
    }
    say(line);
    await this.#keep(after(this.#memory, action, look.nowMs));
    if (action.kind === "start") this.#start(action);
    else if (action.kind === "drain") await this.#drain(action.name);
    else if (!isDone) this.#stop(action.name);
  }

  #start({ names, needs }: Extract<Action, { kind: "start" }>): void {
    const { config, me } = this.#parts;
    const env = { QUEUE: config.queue, COUNT: String(names.length), NAMES: names.join(" "), NEEDS: JSON.stringify(needs) };
    this.#then(this.#command(config.start, names, env), async (code) => {
      if (code === 0) return;
      me.log.note("error", `the command to start ${names.join(" ")} ended with ${code}`);
      const look = await this.#lasting(() => this.#watch.look());
      const { memory, lost } = startFailed(this.#memory, names, look);
      await this.#keep(memory);
      for (const name of lost) this.#stop(name);
    });
  }

  async #drain(name: string): Promise<void> {
    const { navvy, config } = this.#parts;
    await this.#lasting(() => patiently(() => navvy.fleet.ask(name, "drain", { reason: `${config.name}: idle`, timeoutMs: 5_000 })));
  }

  #stop(name: string): void {
    const { config, me } = this.#parts;
    this.#then(this.#command(config.stop, [name], { QUEUE: config.queue, NAME: name }), async (code) => {
      const machine = this.#memory.machines.find((each) => each.name === name);
      const failures = (machine?.failures ?? 0) + 1;
      if (code !== 0) me.log.note("error", `the command to stop ${name} ended with ${code}: ${failures} of ${STOP_TRIES} tries`);
      const rest = this.#memory.machines.filter((each) => each.name !== name);
      const state = code === 0 || failures >= STOP_TRIES ? "stopped" : "stopping";
      await this.#keep({ ...this.#memory, machines: [...rest, { name, state, sinceMs: Date.now(), failures }] });
    });
  }

  /** What goes wrong beside the loop ends it. */
  #then(command: Promise<number>, settle: (code: number) => Promise<void>): void {
    void (async () => {
      try {
        await settle(await command);
      } catch (error) {
        this.#failure ??= error;
      }
    })();
  }

  /** Never rejects: a command that can not be run has failed. */
  async #command({ command, timeout }: AutoscaleConfig["start"], names: string[], env: Record<string, string>): Promise<number> {
    for (const name of names) this.#busy.add(name);
    try {
      return await this.#parts.runCommand(command, { env, timeoutMs: timeout });
    } catch (error) {
      this.#parts.say(`${names.join(" ")}: ${(error as Error).message}`);
      return 127;
    } finally {
      for (const name of names) this.#busy.delete(name);
    }
  }

  /** One after the other, each with what holds by then: the last one written is the latest. */
  #keep(memory: Memory): Promise<void> {
    if (memory === this.#memory) return Promise.resolve();
    this.#memory = memory;
    const save = () => this.#lasting(() => this.#kept.save(this.#memory));
    this.#saving = this.#saving.then(save, save);
    return this.#saving;
  }

  /** Asks for as long as the server is away, or until the process is asked to end: machines cost money, and somebody has to end them. */
  async #lasting<T>(ask: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (!isAway(error) || stopping.aborted) throw error;
        this.#parts.say(`nats-server does not answer, so machines stay as they are until it does: ${(error as Error).message}`);
      }
    }
  }

  #report({ waiting: tasks, nowMs }: Look): void {
    const { me, config } = this.#parts;
    const { machines } = this.#memory;
    const rows = machines.map(({ name, state, sinceMs }) => `| ${name} | ${state} | ${new Date(sinceMs).toISOString()} |`);
    const page = [
      `# ${config.name}`,
      `${tasks.length} tasks of queue ${config.queue} wait.`,
      ["| machine | state | since |", "| --- | --- | --- |", ...rows].join("\n"),
    ].join("\n\n");
    if (page === this.#page) return;
    this.#page = page;
    if (ownTask.isInside) ownTask.summary(page, { replace: true });
    me.log.scalar("tasks waiting", tasks.length, { step: Math.round(nowMs / 1_000) });
    me.log.scalar("machines", machines.length, { step: Math.round(nowMs / 1_000) });
    me.log.output("machines", Object.fromEntries(machines.map(({ name, state }) => [name, state])));
  }
}

/** Ends early when the process is asked to end. */
async function pause(ms: number): Promise<void> {
  let wake = () => {};
  let timer: NodeJS.Timeout | undefined;
  await new Promise<void>((resolve) => {
    wake = resolve;
    if (stopping.aborted) return resolve();
    stopping.addEventListener("abort", wake);
    timer = setTimeout(wake, ms);
  });
  clearTimeout(timer);
  stopping.removeEventListener("abort", wake);
}
