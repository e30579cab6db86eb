import { open } from "node:fs/promises";
import { constants } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { isNavvyError, NavvyError } from "../../protocol/index.js";
import { tryRead } from "../host/cgroup.js";
import { SPAWNER_LABEL } from "../host/spawner/guard.js";
import { KEY_VARIABLE } from "../host/spawner/wire.js";
import type { SpawnerClient } from "../host/spawner-client.js";
import { createCommand } from "./container-args.js";
import type { Engine } from "./engine.js";
import { startError } from "./engine-messages.js";
import type { Engines } from "./engines.js";
import { processRunner } from "./process.js";
import { Removals } from "./removals.js";
import type { ContainerHandle, ContainerRun, EndRequest, ProcessEnd, Runner, RunSpec, StartFailure } from "./runner.js";

export interface RunnerParts {
  spawner: SpawnerClient;
  engines: Engines;
  /** Of the agent: part of its containers' names. */
  agent: string;
  log: { warn(detail: object, message: string): void };
}

/** The name of an attempt's container. */
export function containerName(agent: string, key: string): string {
  return `navvy-${agent}-${key}`;
}

/**
 * Runs tasks in containers where they ask for one, and as plain processes where they do not; both through the spawner.
 *
 * A container is made first, which fails without a trace; then the spawner starts the engine's command that is attached to it as the
 * tree's main process, with the container's output straight in the spool files, and holds the container itself by its engine: so
 * what is true of a process (lease, time limit, grace, adoption, an agent that hangs) is true of a container. It stays until its end
 * was looked at, and is removed when the attempt is released.
 */
export function containerRunner(parts: RunnerParts): Runner {
  return new ContainerRunner(parts);
}

/** What was started here, for what its end is judged by; an adopted one is judged without. */
interface Started {
  program?: string | undefined;
  stderr?: string;
  /** What it printed comes there through a filter, so a moment later. */
  isFiltered?: boolean;
}

class ContainerRunner implements Runner {
  readonly #parts: RunnerParts;
  readonly #plain: Runner;
  readonly #removals: Removals;
  readonly #creating = new Map<string, { isEnded: boolean; over: Promise<void> }>();
  /** By key, until they are released. */
  readonly #handles = new Map<string, ContainerHandle & Started>();

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.#plain = processRunner(parts.spawner);
    this.#removals = new Removals(parts);
    for (const { key, container } of parts.spawner.adopted) if (container !== undefined) this.#handles.set(key, container);
  }

  get adopted() {
    return this.#plain.adopted;
  }

  async start(spec: RunSpec): Promise<{ pid: number }> {
    const { container, ...plain } = spec;
    if (container === undefined) return this.#plain.start(plain);
    const { spawner, agent } = this.#parts;
    if (!spawner.holdsContainers)
      throw new NavvyError("engine_unreachable", "the spawner of an earlier navvy still runs here, and it knows nothing of containers", {
        fix: "restart the agent when nothing runs on it",
      });
    const engine = await this.#parts.engines.require();
    const handle = { engine: engine.name, name: containerName(agent, spec.key) };
    this.#handles.set(spec.key, {
      ...handle,
      program: spec.argv[0],
      stderr: spec.spool?.stderr ?? spec.stderr,
      isFiltered: spec.spool !== undefined,
    });
    await this.#create(spec.key, () => create(engine, handle.name, { ...spec, ...marked(spec, container, spawner.pid) }));
    const { maxPids: _maxPids, maxMemoryBytes: _maxMemoryBytes, ...limits } = plain; // those of the container are the engine's to keep
    const attach = { argv: [engine.name, "start", "--attach", handle.name], cwd: "/", env: engine.env };
    return spawner.start({ ...limits, ...attach, container: handle });
  }

  /** The spawner does not know it yet, so what is to end it must be heard here. @throws NavvyError aborted */
  async #create(key: string, act: () => Promise<void>): Promise<void> {
    const creating = { isEnded: false, over: act() };
    this.#creating.set(key, creating);
    try {
      await creating.over;
    } finally {
      this.#creating.delete(key);
    }
    if (creating.isEnded) throw new NavvyError("aborted", `${key} was ended before it was started`);
  }

  recall(key: string): void {
    const { engines, agent } = this.#parts;
    if (engines.current && !this.#handles.has(key))
      this.#handles.set(key, { engine: engines.current.name, name: containerName(agent, key) });
  }

  async pidOf(key: string): Promise<number | undefined> {
    const handle = this.#handles.get(key);
    if (handle === undefined) return this.#plain.pidOf(key);
    const found = await (await this.#parts.engines.named(handle.engine)).look(handle.name);
    // The engine may count from elsewhere: then this number is someone else's here, or nobody's.
    const marks = found?.pid ? tryRead(`/proc/${found.pid}/environ`).split("\0") : [];
    return marks.includes(`${KEY_VARIABLE}=${key}`) ? found?.pid : undefined;
  }

  async exited(key: string): Promise<ProcessEnd> {
    return this.judge(key, await this.#plain.exited(key));
  }

  /**
   * The attached command ends with the container's code, but also when it loses its engine: what the engine says decides. Codes that
   * name a signal are taken for it, as every shell has it.
   */
  async judge(key: string, end: ProcessEnd): Promise<ProcessEnd> {
    const handle = this.#handles.get(key);
    if (handle === undefined || end.code === 0 || end.endedBy !== undefined || end.lost) return end;
    try {
      const engine = await this.#parts.engines.named(handle.engine);
      const judgement = judged(end, await engine.look(handle.name), handle);
      const failure = await failedExec(judgement, handle);
      return failure ? { ...judgement, failure } : judgement;
    } catch (error) {
      if (!isNavvyError(error)) throw error;
      return lost(`it is not known how its container ended: ${error.message}`);
    }
  }

  gone = (key: string) => this.#plain.gone(key);
  signal = (key: string, signal: NodeJS.Signals) => this.#plain.signal(key, signal);
  pause = (key: string) => this.#plain.pause(key);
  resume = (key: string) => this.#plain.resume(key);

  end(key: string, request: EndRequest): void {
    const creating = this.#creating.get(key);
    if (creating) creating.isEnded = true;
    else this.#plain.end(key, request);
  }

  /** Also one that was made and never started, or whose spawner is gone. */
  async kill(key: string): Promise<void> {
    const creating = this.#creating.get(key);
    if (creating) creating.isEnded = true;
    await creating?.over.catch(() => undefined); // whoever makes it hears of it
    await this.#plain.kill(key);
    const handle = this.#handles.get(key);
    if (handle !== undefined) await this.#removals.now(handle);
  }

  close(): Promise<void> {
    return this.#removals.close();
  }

  release(key: string): void {
    this.#plain.release(key);
    const handle = this.#handles.get(key);
    if (handle === undefined) return;
    this.#handles.delete(key);
    this.#removals.soon(handle);
  }
}

/** So that its processes are found on this machine by their attempt, and its container by the spawner that is to end it. */
function marked({ key, env }: RunSpec, container: ContainerRun, spawnerPid: number) {
  const labels = { ...container.labels, [SPAWNER_LABEL]: String(spawnerPid) };
  return { env: { ...env, [KEY_VARIABLE]: key }, container: { ...container, labels } };
}

/** @throws NavvyError setup_failed, engine_unreachable */
async function create(engine: Engine, name: string, spec: RunSpec & { container: NonNullable<RunSpec["container"]> }): Promise<void> {
  const { args, env } = createCommand(engine, name, spec);
  let answer = await engine.run(args, { env });
  if (!answer.ok && /already in use|already exists/i.test(answer.stderr)) {
    await engine.remove([name]); // left over by an earlier run of this agent: the key is ours alone
    answer = await engine.run(args, { env });
  }
  if (answer.ok) return;
  const { message, fix } = startError(spec.container.image, answer.stderr);
  throw new NavvyError("setup_failed", message, fix === undefined ? {} : { fix });
}

function judged(end: ProcessEnd, state: Awaited<ReturnType<Engine["look"]>>, { engine, name }: ContainerHandle): ProcessEnd {
  if (state === undefined) return lost(`its container ${name} was removed by someone else`);
  if (state.status === "created") return { ...end, failure: startError("its image", state.error || "it was not started") };
  if (end.signal !== null) return lost(`the command that was attached to its container was ended: ${engine} start ${name}, ${end.signal}`);
  if (end.code !== state.exitCode) return lost(`the engine lost hold of its container ${name}: ${engine} start ended with ${end.code}`);
  const signal = signalOf(state.exitCode);
  if (state.isOutOfMemory && signal === "SIGKILL") return { ...end, isOutOfMemory: true };
  return signal === undefined ? end : { ...end, code: null, signal };
}

/** What the first process of a container says when it can not start the program; it is the engine's, and prints nothing else. */
const FAILED_EXEC = /^(?:\[FATAL tini .*?\] exec .* failed|ERROR \(catatonit:\d+\): failed to exec \S*): (.*)$/m;
/** Docker's ends with the second or third, Podman's with the first. */
const NOT_EXECUTED = new Set([1, 126, 127]);
const SAID_BYTES = 1_024;

async function failedExec(
  { code }: ProcessEnd,
  { program = "its program", stderr, isFiltered }: Started,
): Promise<StartFailure | undefined> {
  if (code === null || !NOT_EXECUTED.has(code) || stderr === undefined) return undefined;
  let said = await firstBytes(stderr);
  for (let looks = 0; isFiltered && said === "" && looks < 20; looks++) {
    await delay(25);
    said = await firstBytes(stderr);
  }
  const why = FAILED_EXEC.exec(said)?.[1];
  return why === undefined ? undefined : startError("its image", `${program}: ${why}`);
}

async function firstBytes(path: string): Promise<string> {
  const file = await open(path, "r").catch(() => undefined);
  if (!file) return "";
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(SAID_BYTES), 0, SAID_BYTES, 0);
    return buffer.subarray(0, bytesRead).toString("utf8");
  } finally {
    await file.close();
  }
}

function lost(reason: string): ProcessEnd {
  return { code: null, signal: null, lost: true, reason };
}

/** 128 and the signal's number: so tells an engine of a program that was ended by one. */
function signalOf(code: number): NodeJS.Signals | undefined {
  const number = code - 128;
  return (Object.entries(constants.signals) as [NodeJS.Signals, number][]).find(([, each]) => each === number)?.[0];
}
