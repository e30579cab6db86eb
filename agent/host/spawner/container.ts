import { setTimeout as delay } from "node:timers/promises";
import type { RunEngine } from "./engine.js";
import { type Found, namespacePids, sendSignal } from "./processes.js";
import type { StartRequest } from "./wire.js";

/** A pause that the engine has not made by then is made by SIGSTOP meanwhile, where its processes can be seen from here. */
const PAUSE_WITHIN_MS = 400;
const FIRST_RETRY_MS = 50;
const LAST_RETRY_MS = 1_000;
/** An engine that is gone can not start anything: after so many refusals what is not to be seen running is not there. */
const REFUSALS = 5;

const NOT_THERE = /no such container|no container with name|not found/i;
const NOT_RUNNING = /is not running|not running|can only kill running|container state improper/i;

/** What a container's grip asks and tells. */
export interface ContainerGripOptions {
  request: StartRequest;
  run: RunEngine;
  /** The processes of all attempts by their marker: those of a container too, unless we are in another process namespace. */
  look: () => Found;
  /** Nothing of it runs any more, by the word of its engine. */
  onOver: () => void;
}

/**
 * How a container is got hold of: pause, unpause, kill and removal through its engine, one command after the other, towards what
 * is wanted last. The main process of its tree is the engine's command that is attached to it.
 *
 * A signal for one that is paused waits, because engines thaw what they signal; SIGKILL does not.
 */
export class ContainerGrip {
  /** Nothing of the container runs any more. */
  isOver = false;
  readonly #options: ContainerGripOptions;
  readonly #signals: NodeJS.Signals[] = [];
  #fate: "runs" | "stopped" | "removed" = "runs";
  #wantsPause = false;
  #isPaused = false;
  #isHalted = false;
  #isWorking = false;
  #retryMs = FIRST_RETRY_MS;
  #refusals = 0;

  constructor(options: ContainerGripOptions) {
    this.#options = options;
  }

  pause(): void {
    this.#wantsPause = true;
    this.#work();
  }

  resume(): void {
    this.#wantsPause = false;
    this.#work();
  }

  /** To each of its processes, as in any other tree; where they can not be seen from here, to the first, by its engine. */
  signal(signal: NodeJS.Signals): void {
    this.#signals.push(signal);
    this.#work();
  }

  /** SIGKILL and removal: also one that is just being started does not come up after that. */
  remove(): void {
    if (this.#fate === "removed") return;
    this.#fate = "removed";
    this.isOver = false;
    this.#work();
  }

  /** The attached command has ended. With code 0 the container has too; else that is made sure of, and it is kept to be looked at. */
  detached(code: number | null): void {
    if (this.#fate !== "runs") return;
    this.#fate = "stopped";
    if (code === 0) this.isOver = true;
    else this.#work();
  }

  #work(): void {
    if (this.#isWorking) return;
    this.#isWorking = true;
    void this.#turn();
  }

  async #turn(): Promise<void> {
    for (;;) {
      const step = this.#next();
      if (step === undefined) break;
      const isDone = await step();
      this.#retryMs = isDone ? FIRST_RETRY_MS : Math.min(this.#retryMs * 2, LAST_RETRY_MS);
      if (!isDone) await delay(this.#retryMs);
    }
    this.#isWorking = false;
  }

  /** What is to be done next towards what is wanted; each step resolves with whether it need not be tried again. */
  #next(): (() => Promise<boolean>) | undefined {
    if (this.isOver) return undefined;
    if (this.#fate !== "runs") return () => this.#end();
    if (this.#wantsPause !== this.#isPaused) return () => this.#setPaused(this.#wantsPause);
    const [signal] = this.#signals;
    return signal === undefined || this.#isPaused ? undefined : () => this.#send(signal);
  }

  async #end(): Promise<boolean> {
    const fate = this.#fate;
    const { ok, message } = await (fate === "removed" ? this.#run(["rm", "--force", "--volumes"]) : this.#run(["kill"]));
    const isGone = ok || NOT_THERE.test(message) || (fate === "stopped" && NOT_RUNNING.test(message));
    this.#refusals = isGone ? 0 : this.#refusals + 1;
    if (!isGone && !(this.#refusals >= REFUSALS && this.#pids().length === 0)) return false;
    if (fate !== this.#fate) return true; // removal is wanted by now
    this.isOver = true;
    this.#options.onOver();
    return true;
  }

  async #setPaused(paused: boolean): Promise<boolean> {
    if (!paused) {
      this.#goOn();
      const { ok, message } = await this.#run(["unpause"]);
      const isDone = ok || /not paused/i.test(message) || NOT_RUNNING.test(message);
      if (isDone) this.#isPaused = false;
      return isDone;
    }
    const halting = setTimeout(() => this.#halt(), PAUSE_WITHIN_MS);
    const { ok, message } = await this.#run(["pause"]);
    clearTimeout(halting);
    const isDone = ok || /already paused/i.test(message);
    if (isDone) this.#isPaused = true;
    else this.#halt(); // it is being started, has ended, or its engine is not well
    return isDone;
  }

  async #send(signal: NodeJS.Signals): Promise<boolean> {
    const pids = this.#inside();
    if (pids.length > 0) {
      for (const pid of pids) sendSignal(pid, signal);
      this.#signals.shift();
      return true;
    }
    const { ok, message } = await this.#run(["kill", "--signal", signal]);
    const isDone = ok || NOT_THERE.test(message);
    if (isDone) this.#signals.shift();
    return isDone;
  }

  #run(args: string[]) {
    const { container, env } = this.#options.request;
    if (container === undefined) throw new Error("a container's grip without a container");
    return this.#options.run(container, [...args, container.name], env);
  }

  #halt(): void {
    if (!this.#wantsPause || this.isOver) return;
    this.#isHalted = true;
    for (const pid of this.#pids()) sendSignal(pid, "SIGSTOP");
  }

  #goOn(): void {
    if (!this.#isHalted) return;
    this.#isHalted = false;
    for (const pid of this.#pids()) sendSignal(pid, "SIGCONT");
  }

  /** The program's processes: not the attached command, and not the container's init, which would hand the signal on a second time. */
  #inside(): number[] {
    const depth = namespacePids("self").length;
    return this.#pids().filter((pid) => {
      const numbers = namespacePids(pid);
      return numbers.length > depth && numbers.at(-1) !== 1;
    });
  }

  #pids(): readonly number[] {
    return this.#options.look().get(this.#options.request.key) ?? [];
  }
}
