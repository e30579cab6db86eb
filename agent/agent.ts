import { connect, type Navvy } from "../broker/index.js";
import { type AgentConfig, type AgentOptions, resolveConfig } from "./config.js";
import { controlHandlers } from "./control.js";
import { type AgentInnards, haltLoops, startLoops } from "./innards.js";
import { openHost } from "./open-host.js";
import { openSlots } from "./open-slots.js";
import { Running } from "./running.js";

/** One step of leaving: for good, or handing over to the agent that is started next. */
type Closer = (how: { handsOver: boolean; limitMs: number }) => unknown;

/**
 * The daemon that runs tasks on one machine. This file is its table of contents:
 *
 *   lease    keeps the session; freezes, revokes          loops/lease.ts
 *   claims   fills free slots from the queues             loops/claim.ts
 *   attempt  one task's life: prepare … settle            task/attempt.ts
 *   beats    the public sign of life                      loops/beat.ts
 *   control  what people and controllers ask of it        control.ts
 *   coordinator  the fleet's duties, if it leads          coordinator/
 */
export class Agent {
  readonly name: string;
  /** Resolves when the agent has left and everything of it is closed. */
  readonly done: Promise<void>;
  readonly #parts: AgentInnards;
  readonly #closers: Closer[];
  #drain: { reason: string } | undefined;
  #leaving: Promise<void> | undefined;
  #isLeavingNow = false;
  #handsOver = false;
  #resolveDone = () => {};

  private constructor(parts: AgentInnards, closers: Closer[]) {
    this.#parts = parts;
    this.#closers = closers;
    this.name = parts.config.name;
    this.done = new Promise((resolve) => (this.#resolveDone = resolve));
  }

  /** @throws NavvyError nats_unreachable, conflict (an agent of that name is up), invalid_argument, setup_failed */
  static async start(options: AgentOptions): Promise<Agent> {
    const config = resolveConfig(options);
    const onWaiting = (sentence: string) => config.log.warn(sentence);
    const navvy = await connect({
      ...config.connection,
      wait: true,
      onWaiting,
      actor: config.name,
      clientName: `navvy agent ${config.name}`,
    });
    try {
      return await Agent.#assemble(config, navvy);
    } catch (error) {
      await navvy.close();
      throw error;
    }
  }

  static async #assemble(config: AgentConfig, navvy: Navvy): Promise<Agent> {
    const { lock, ...host } = await openHost(config, navvy);
    const { spawner, journal } = host;
    const self: { agent?: Agent; hasLostSpawner?: boolean } = {};
    spawner.on("lost", () => {
      self.hasLostSpawner = true; // it may die before there is an agent to leave
      self.agent?.leave({ now: true });
    });
    const running = new Running();
    const onFree = () => self.agent?.lookForWork();
    const { slots, keeper } = await openSlots({ config, ...host, onFree });
    const parts = { config, navvy, ...host, running, slots, keeper, unsettled: new Set() } as unknown as AgentInnards;
    parts.holdReason = () => (self.hasLostSpawner ? "its spawner has ended" : self.agent?.holdReason);
    parts.isLeavingNow = () => self.hasLostSpawner ?? self.agent?.isLeavingNow ?? false;
    parts.onBroken = (error) => {
      config.log.error({ err: error }, "this agent can not go on: leaving");
      self.agent?.leave({ now: true });
    };
    await startLoops(parts).catch(async (error: unknown) => {
      await haltLoops(parts);
      throw error;
    });
    const stopServing = navvy.fleet.serve({
      agent: config.name,
      handlers: controlHandlers(parts, {
        drain: (reason) => self.agent?.drain(reason),
        resume: () => self.agent?.resume(),
        stop: (now) => self.agent?.leave({ now }),
        handOver: () => self.agent?.leave({ handsOver: true }),
      }),
      onRefused: (verb, reply) => config.log.warn({ verb, errorId: reply.errorId, message: reply.message }, "request refused"),
    });
    const agent = new Agent(parts, [
      () => lock.release(),
      () => keeper.stop(),
      () => journal.close(),
      ({ limitMs }) => within(limitMs, host.runner.close()),
      ({ handsOver }) => (handsOver ? spawner.detach() : spawner.close()),
      ({ handsOver, limitMs }) => parts.lease.stop({ release: !handsOver, limitMs }),
      ({ handsOver, limitMs }) => handsOver || within(limitMs, navvy.fleet.leave(config.name, parts.lease.owner.session)),
      ({ limitMs }) => within(limitMs, parts.coordinator.stop()),
      () => parts.containers.stop(),
      ({ limitMs }) => (parts.spool.stop(), within(limitMs, parts.cleaner.stop())),
      ({ handsOver }) => parts.api.close({ isLast: !handsOver }),
      () => parts.beats.stop(),
      () => (parts.lanes.close(), parts.secrets.close()),
      () => stopServing(),
      () => parts.claims.stop(),
    ]);
    self.agent = agent;
    if (self.hasLostSpawner) agent.leave({ now: true });
    await parts.beats.beat();
    parts.claims.kick();
    config.log.info({ queues: config.serves, slots: config.slots, services: config.serviceSlots }, "agent is up");
    return agent;
  }

  /** Why nothing is claimed right now. */
  get holdReason(): string | undefined {
    if (this.#leaving) return "stopping";
    return this.#drain && `draining: ${this.#drain.reason}`;
  }

  /** Something that did not fit may fit now. */
  lookForWork(): void {
    this.#parts.claims.kick();
  }

  /** Takes no new work; what runs goes on. */
  drain(reason = "drained"): void {
    if (this.#drain) return;
    this.#drain = { reason };
    this.#parts.navvy.events.emit({ kind: "agent", id: this.name, event: "draining", reason });
    this.#parts.beats.beatSoon();
    this.#parts.claims.refresh();
  }

  /** Takes work again. */
  resume(): void {
    if (!this.#drain || this.#leaving) return;
    this.#drain = undefined;
    this.#parts.navvy.events.emit({ kind: "agent", id: this.name, event: "resumed", reason: "resumed" });
    this.#parts.claims.kick();
    this.#parts.beats.beatSoon();
    this.#parts.claims.refresh();
  }

  /**
   * Leaves the fleet: after what runs has ended, or with `now` at once, giving it back to its queues. A second call with
   * `now` hastens the first. Resolves when everything is closed.
   */
  async stop(options: { now?: boolean } = {}): Promise<void> {
    this.drain("stopping");
    this.#leaving ??= this.#leave();
    if (options.now) this.#leaveNow();
    await this.#leaving;
  }

  /** Like `stop`, for those who do not wait for it. */
  leave(options: { now?: boolean; handsOver?: boolean }): void {
    (options.handsOver ? this.handOver() : this.stop(options)).catch((error: unknown) =>
      this.#parts.config.log.error({ err: error }, "the agent did not leave cleanly"),
    );
  }

  /**
   * Leaves what runs running, for the agent that is started next in the same folder under the same name: to upgrade or
   * restart it under running tasks. Resolves when everything is closed.
   */
  async handOver(): Promise<void> {
    if (this.#leaving) return this.#leaving;
    this.#handsOver = true;
    this.drain("handing over");
    this.#leaving = this.#leave();
    await this.#leaving;
  }

  /** It has left, or is about to, for another one in its place. */
  get handsOver(): boolean {
    return this.#handsOver;
  }

  get isLeavingNow(): boolean {
    return this.#isLeavingNow;
  }

  /**
   * With a lease that can not be kept (NATS is away) nothing can be given back: the processes go, and the reaper does the rest.
   * Looked at until nothing runs: the link may have been cut a moment ago, or be cut now.
   */
  #leaveNow(): void {
    const { running, lease } = this.#parts;
    this.#isLeavingNow = true;
    for (const attempt of running.all()) {
      if (lease.isFresh) attempt.giveBack(`agent ${this.name} was told to leave at once`);
      else attempt.revoke("told to leave at once while NATS is away");
    }
    if (running.all().length > 0) setTimeout(() => this.#leaveNow(), LOOK_EVERY_MS).unref();
  }

  /** What has no process yet goes back to its queue; what is being settled gets a moment; the rest is let be. */
  async #leaveRunning(): Promise<void> {
    const { running } = this.#parts;
    const until = performance.now() + HAND_OVER_MS;
    for (const attempt of running.all()) if (attempt.isUnstarted) attempt.giveBack(`agent ${this.name} is being restarted`);
    while (running.all().some((attempt) => !attempt.canBeLeft) && performance.now() < until)
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    await within(POLITE_MS, Promise.all(running.all().map((attempt) => attempt.leave())));
  }

  /** Every step runs, last in first out; what failed is told together. */
  async #leave(): Promise<void> {
    await within(POLITE_MS, this.#parts.claims.stop());
    await (this.#handsOver ? this.#leaveRunning() : this.#parts.running.idle());
    const errors: unknown[] = [];
    const { navvy, config } = this.#parts;
    const handsOver = this.#handsOver;
    const limitMs = this.#parts.lease.isFresh ? POLITE_MS : HASTY_MS;
    navvy.events.emit({
      kind: "agent",
      id: this.name,
      event: handsOver ? "handed_over" : "left",
      reason: this.#drain?.reason ?? "stopped",
    });
    for (const close of this.#closers.toReversed()) {
      try {
        await close({ handsOver, limitMs });
      } catch (error) {
        errors.push(error);
      }
    }
    await within(limitMs, navvy.close());
    config.log.info(handsOver ? "agent has handed over" : "agent has left");
    this.#resolveDone();
    if (errors.length > 0) throw new AggregateError(errors, `agent ${this.name} did not close cleanly`);
  }
}

/** How long each step of taking leave of NATS may take: leases and registrations end by themselves too. */
const POLITE_MS = 3_000;
/** With NATS away. */
const HASTY_MS = 300;
/** What is between its process's end and its record when the agent hands over gets this long; the next one settles the rest. */
const HAND_OVER_MS = 10_000;
const LOOK_EVERY_MS = 50;

function within(limitMs: number, leaving: Promise<unknown>): Promise<unknown> {
  return Promise.race([leaving.catch(() => undefined), new Promise((resolve) => setTimeout(resolve, limitMs).unref())]);
}

/** Starts an agent; it works until it is stopped. */
export function startAgent(options: AgentOptions): Promise<Agent> {
  return Agent.start(options);
}
