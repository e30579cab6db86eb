import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { pino } from "pino";
import { type Agent, startAgent } from "../../../agent/index.js";
import { connectionOf, type Handler } from "../../call.js";
import { dataFolder } from "../../data-folder.js";
import { onInterrupt } from "../../signals.js";
import type { AgentStartOptions } from "../agent.js";
import { artifactOptionsOf } from "../agent-flags/artifacts.js";
import { cleanOptionsOf } from "../agent-flags/clean.js";
import { containerConfigOf } from "../agent-flags/container.js";
import { secretConfigOf } from "../agent-flags/secrets.js";
import { LastingLog } from "./lasting-log.js";
import { prettyLine } from "./pretty-log.js";
import { succeed } from "./succeed.js";

/** `navvy agent start`: runs until a signal or `navvy agent stop`. */
export const start: Handler<[], AgentStartOptions> = async (call) => {
  const { options } = call;
  const name = options.name ?? defaultAgentName();
  const log = agentLog(name, { format: options.logFormat });
  const agent = await startAgent({
    connection: { ...connectionOf(options), env: process.env, clientName: `navvy agent ${name}`, actor: name, wait: true },
    name,
    ...(options.queue ? { queues: options.queue.flatMap((each) => each.split(",")) } : {}),
    ...(options.slots === undefined ? {} : { slots: options.slots }),
    ...(options.services === undefined ? {} : { serviceSlots: options.services || 0 }),
    ...(options.lease === undefined ? {} : { leaseMs: options.lease }),
    ...(options.adoptWithin === undefined ? {} : { adoptWithinMs: options.adoptWithin }),
    ...(options.maxPids === undefined ? {} : { maxPids: options.maxPids }),
    ...(options.maxSpool === undefined ? {} : { maxSpoolBytes: options.maxSpool }),
    ...(options.logLimit === undefined ? {} : { logLimitBytes: options.logLimit }),
    ...(options.gitCache === undefined ? {} : { gitCacheBytes: options.gitCache }),
    ...(options.gitLimit === undefined ? {} : { gitLimitMs: options.gitLimit }),
    ...cleanOptionsOf(options),
    ...artifactOptionsOf(options),
    ...(options.forget === undefined ? {} : { forget: options.forget }),
    ...containerConfigOf(options),
    ...secretConfigOf(options),
    order: options.order,
    facades: options.facades,
    gpus: options.gpus,
    ...(options.shareGpus === undefined ? {} : { shareGpus: options.shareGpus }),
    ...(options.gpuLocks === undefined ? {} : { gpuLockFolder: resolve(options.gpuLocks) }),
    workDir: options.workDir ?? join(dataFolder(process.env), "agents"),
    labels: options.label ?? {},
    log,
  });
  obeySignals(agent, (line) => log.info(line));
  const upgrade = () => agent.leave({ handsOver: true });
  process.on("SIGUSR2", upgrade);
  await agent.done;
  if (agent.handsOver) succeed();
  // A connection that NATS does not answer on would keep the process: nothing of it is needed any more.
  process.exit();
};

/** The first signal drains and leaves when done, a second one gives the tasks back and leaves now. */
export function obeySignals(agent: Agent, say: (line: string) => void): () => void {
  let signals = 0;
  return onInterrupt((signal) => {
    signals++;
    if (signals > 2) return;
    say(
      signals === 1
        ? `${signal}: finishing what runs, then leaving; once more: give tasks back and leave now`
        : `${signal} again: giving tasks back, leaving now`,
    );
    agent.stop({ now: signals === 2 }).catch((error: Error) => say(`could not leave in good order: ${error.message}`));
  });
}

/** The host's name as one subject token. */
export function defaultAgentName(): string {
  return (
    hostname()
      .split(".")[0]
      ?.replace(/[^A-Za-z0-9_-]+/g, "-")
      .slice(0, 64) || "agent"
  );
}

/** pino to stdout, or another descriptor: for people on a terminal, else JSON lines. Neither a full disk nor a closed pipe there ends the agent. */
export function agentLog(name: string, options: { format?: "pretty" | "json" | undefined; level?: string; fd?: number } = {}) {
  const { format, level = process.env.NAVVY_LOG_LEVEL ?? "info", fd = 1 } = options;
  const isPretty = (format ?? (process.stdout.isTTY ? "pretty" : "json")) === "pretty";
  const shown = (line: string) => (isPretty ? `${prettyLine(line.trimEnd(), name)}\n` : line);
  const lost = (lines: number, why: string) =>
    shown(
      `${JSON.stringify({ level: 40, time: Date.now(), agent: name, msg: `${lines} lines of this log could not be written: ${why}` })}\n`,
    );
  const output = new LastingLog(fd, lost);
  return pino({ base: { agent: name }, level }, { write: (line: string) => output.write(shown(line)) });
}
