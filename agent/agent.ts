import { hostname } from "node:os";
import { join } from "node:path";
import { type Claim, connect, type Navvy, type Session } from "../broker/index.js";
import { type Beat, NavvyError } from "../protocol/index.js";
import { type AgentConfig, type AgentOptions, resolveConfig } from "./config.js";
import { controlHandlers } from "./control.js";
import { Coordinator } from "./coordinator/coordinator.js";
import { BundleCache } from "./host/bundle-cache.js";
import { Journal } from "./host/journal.js";
import { Machine } from "./host/machine.js";
import { SpawnerClient } from "./host/spawner-client.js";
import { clearLeftovers } from "./leftovers.js";
import { BeatLoop } from "./loops/beat.js";
import { ClaimLoop } from "./loops/claim.js";
import { Lanes } from "./loops/lanes.js";
import { LeaseLoop } from "./loops/lease.js";
import { register } from "./register.js";
import { processRunner } from "./runners/process.js";
import { Running } from "./running.js";
import { type Slot, Slots } from "./slots.js";
import { Attempt, type AttemptParts } from "./task/attempt.js";
import { makeAgentFolder } from "./task/folder.js";

/** Everything an agent is made of, open. */
export interface AgentInnards {
  config: AgentConfig;
  navvy: Navvy;
  machine: Machine;
  spawner: SpawnerClient;
  journal: Journal;
  running: Running;
  slots: Slots;
  lease: LeaseLoop;
  claims: ClaimLoop;
  lanes: Lanes;
  beats: BeatLoop;
  coordinator: Coordinator;
  /** Why nothing is claimed right now; undefined while work is taken. */
  holdReason: () => string | undefined;
}

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
  readonly #closers: (() => Promise<unknown> | unknown)[];
  #drain: { reason: string } | undefined;
  #leaving: Promise<void> | undefined;
  #resolveDone = () => {};

  private constructor(parts: AgentInnards, closers: (() => Promise<unknown> | unknown)[]) {
    this.#parts = parts;
    this.#closers = closers;
    this.name = parts.config.name;
    this.done = new Promise((resolve) => (this.#resolveDone = resolve));
  }

  /** @throws NavvyError nats_unreachable, conflict (an agent of that name is up), invalid_argument, setup_failed */
  static async start(options: AgentOptions): Promise<Agent> {
    const config = resolveConfig(options);
    const navvy = await connect({ ...config.connection, wait: true, actor: config.name, clientName: `navvy agent ${config.name}` });
    try {
      return await Agent.#assemble(config, navvy);
    } catch (error) {
      await navvy.close();
      throw error;
    }
  }

  static async #assemble(config: AgentConfig, navvy: Navvy): Promise<Agent> {
    await refuseTwin(navvy, config.name);
    await makeAgentFolder(config.folder);
    const journal = await Journal.open(join(config.folder, "journal.jsonl"));
    const [machine, spawner] = await Promise.all([
      Machine.probe({ workDir: config.folder, gpus: config.gpus }),
      SpawnerClient.open({ workDir: config.folder, agent: config.name, log: config.log }),
    ]);
    await clearLeftovers({ navvy, journal, spawner, config });
    const running = new Running();
    const slots = new Slots(
      { compute: config.slots, service: config.serviceSlots },
      machine.facts.gpus.map((gpu) => gpu.index),
    );
    const parts = { config, navvy, machine, spawner, journal, running, slots } as AgentInnards;
    let agent: Agent | undefined;
    parts.holdReason = () => agent?.holdReason;
    await startLoops(parts);
    const stopServing = navvy.fleet.serve({
      agent: config.name,
      handlers: controlHandlers(parts, {
        drain: (reason) => agent?.drain(reason),
        resume: () => agent?.resume(),
        stop: (now) => void agent?.stop({ now }),
      }),
      onRefused: (verb, reply) => config.log.warn({ verb, errorId: reply.errorId, message: reply.message }, "request refused"),
    });
    agent = new Agent(parts, [
      () => journal.close(),
      () => spawner.close(),
      () => parts.lease.stop(),
      () => navvy.fleet.leave(config.name, parts.lease.session.owner.session).catch(() => undefined), // out of reach: seen by its session's end
      () => parts.coordinator.stop(),
      () => parts.beats.stop(),
      () => parts.lanes.close(),
      () => stopServing(),
      () => parts.claims.stop(),
    ]);
    spawner.on("lost", () => void agent?.stop({ now: true }));
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

  /** Takes no new work; what runs goes on. */
  drain(reason = "drained"): void {
    if (this.#drain) return;
    this.#drain = { reason };
    this.#parts.navvy.events.emit({ kind: "agent", id: this.name, event: "draining", reason });
    void this.#parts.beats.beat();
  }

  /** Takes work again. */
  resume(): void {
    if (!this.#drain || this.#leaving) return;
    this.#drain = undefined;
    this.#parts.navvy.events.emit({ kind: "agent", id: this.name, event: "resumed", reason: "resumed" });
    this.#parts.claims.kick();
    void this.#parts.beats.beat();
  }

  /**
   * Leaves the fleet: after what runs has ended, or with `now` at once, giving it back to its queues. A second call with
   * `now` hastens the first. Resolves when everything is closed.
   */
  async stop(options: { now?: boolean } = {}): Promise<void> {
    this.drain("stopping");
    this.#leaving ??= this.#leave();
    if (options.now) for (const attempt of this.#parts.running.all()) attempt.giveBack(`agent ${this.name} was told to leave at once`);
    await this.#leaving;
  }

  /** Every step runs, last in first out; what failed is told together. */
  async #leave(): Promise<void> {
    await this.#parts.claims.stop();
    await this.#parts.running.idle();
    const errors: unknown[] = [];
    const { navvy, config } = this.#parts;
    navvy.events.emit({ kind: "agent", id: this.name, event: "left", reason: this.#drain?.reason ?? "stopped" });
    for (const close of this.#closers.toReversed()) await Promise.resolve(close()).catch((error: unknown) => errors.push(error));
    await navvy.close();
    config.log.info("agent has left");
    this.#resolveDone();
    if (errors.length > 0) throw new AggregateError(errors, `agent ${this.name} did not close cleanly`);
  }
}

/** Opens what turns by itself: lease first, then what works under it. */
async function startLoops(parts: AgentInnards): Promise<void> {
  const { config, navvy, machine, running, slots, spawner, journal } = parts;
  parts.lease = await LeaseLoop.start({
    bus: navvy.bus,
    config,
    armFreeze: (freezeInMs) => spawner.lease(freezeInMs),
    onRevoked: () => revokeAll(running),
    onRenewed: () => readWishes(parts),
    onSession: (session) => beginSession(parts, session),
  });
  const attemptParts: AttemptParts = {
    config,
    navvy,
    runner: processRunner(spawner),
    journal,
    bundles: new BundleCache({ dir: join(config.folder, "bundles"), fetch: (sha256, file) => navvy.objects.getToFile(sha256, file) }),
    isLeaseFresh: () => parts.lease.isFresh,
  };
  const onClaim = (claim: Claim, slot: Slot) => void runAttempt(parts, new Attempt(attemptParts, claim, slot));
  let freeDiskBytes = Number.POSITIVE_INFINITY;
  const mayClaim = () => parts.holdReason() === undefined && parts.lease.isFresh && freeDiskBytes > config.minFreeDiskBytes;
  parts.lanes = await Lanes.open(navvy, config.serves, () => parts.claims?.kick());
  parts.claims = new ClaimLoop({
    navvy,
    config,
    slots,
    lanes: parts.lanes,
    owner: () => parts.lease.session.owner,
    mayClaim,
    isHeld: (id) => running.has(id),
    onClaim,
  });
  parts.coordinator = new Coordinator({ navvy, log: config.log, leaseMs: config.leaseMs, owner: () => parts.lease.session.owner });
  const diskReason = () =>
    freeDiskBytes <= config.minFreeDiskBytes ? `only ${Math.round(freeDiskBytes / 2 ** 20)} MiB of disk free` : undefined;
  parts.beats = new BeatLoop({
    navvy,
    machine,
    view: () => beatView(parts, parts.holdReason() ?? diskReason()),
    onSample: (sample) => {
      freeDiskBytes = sample.disk.totalBytes > 0 ? sample.disk.freeBytes : Number.POSITIVE_INFINITY;
    },
  });
}

/** One attempt from claim to free slot. */
async function runAttempt(parts: AgentInnards, attempt: Attempt): Promise<void> {
  parts.running.add(attempt);
  await attempt.run();
  parts.running.remove(attempt);
  parts.slots.free(attempt.slot);
  parts.claims.kick();
}

async function beginSession(parts: AgentInnards, session: Session): Promise<void> {
  const { journal, navvy, config, machine } = parts;
  await journal.append({ op: "session", session: session.owner.session, revision: session.revision, at: new Date().toISOString() });
  await register({ navvy, config, machine, session: session.owner.session });
  parts.claims?.kick();
}

async function revokeAll(running: Running): Promise<void> {
  for (const attempt of running.all()) attempt.revoke("the session's lease was revoked");
  await running.idle();
}

/** Wishes that were not delivered: read at every renewal. */
async function readWishes({ running, navvy }: AgentInnards): Promise<void> {
  await Promise.all(
    running.all().map(async (attempt) => {
      const record = await navvy.tasks.claims.look(attempt.claim);
      if (record === undefined) attempt.revoke("a newer attempt took over");
      else if (record.abort) attempt.abort(record.abort.reason, record.abort.graceMs);
    }),
  );
}

function beatView(
  parts: AgentInnards,
  hold: string | undefined,
): Omit<Beat, "type" | "at" | "cpu" | "memory" | "disk" | "network" | "gpus"> {
  const { config, slots, running, lease, coordinator } = parts;
  const state = hold?.startsWith("stopping") ? "stopping" : hold ? "draining" : slots.isIdle ? "idle" : "busy";
  return {
    agent: config.name,
    session: lease.session.owner.session,
    state,
    ...(hold ? { reason: hold } : {}),
    queues: config.serves,
    slots: { used: slots.used.compute, total: slots.total.compute },
    services: { used: slots.used.service, total: slots.total.service },
    running: running.all().map((attempt) => attempt.view),
    leading: coordinator.isLeading,
  };
}

/** Two agents of one name would answer each other's requests. */
async function refuseTwin(navvy: Navvy, name: string): Promise<void> {
  const reply = await navvy.fleet.ask(name, "ping", { timeoutMs: 500 });
  if (!reply) return;
  throw new NavvyError(
    "conflict",
    `an agent named ${JSON.stringify(name)} is up already (on ${String(reply.data?.host ?? "?")}, pid ${String(reply.data?.pid ?? "?")})`,
    {
      fix: [`give this one another name: --name ${name}-2`, `or end that one: navvy agent stop ${name}`],
      detail: { here: hostname() },
    },
  );
}

/** Starts an agent; it works until it is stopped. */
export function startAgent(options: AgentOptions): Promise<Agent> {
  return Agent.start(options);
}
