import { cpus } from "node:os";
import { join } from "node:path";
import type { Logger } from "pino";
import { DEFAULT_LEASE_MS, type NavvyOptions, parseStoreUrl } from "../broker/index.js";
import { checkName, DEFAULT_QUEUE, NavvyError, SERVICES_QUEUE } from "../protocol/index.js";
import type { Runtime } from "./runners/engines.js";
import { type ContainerRules, NO_RULES } from "./task/container-rules.js";

export interface AgentOptions {
  /** How to reach the fleet; an agent waits for a server that is not there yet. */
  connection: NavvyOptions;
  /** One subject token, unique in the fleet. */
  name: string;
  /** Queues for the compute slots, in order of preference. Default: `default`. */
  queues?: string[];
  /** `strict`: a later queue only when the earlier ones are empty; `fair`: round robin. Default strict. */
  order?: "strict" | "fair";
  /** Tasks at once. Default: one per core, at most 4, and at least one per GPU. */
  slots?: number;
  /** Light slots for the `services` queue, apart from the others, so that a waiting controller never holds its step's slot. Default 4. */
  serviceSlots?: number;
  gpus?: "auto" | "none" | "all" | number[];
  /** Give out GPUs that other agents of the host or other programs use too. Default false. */
  shareGpus?: boolean;
  /** Where the agents of a host tell each other which GPUs they hold; the same for all of them. Default: below /run/lock. */
  gpuLockFolder?: string;
  /** Where attempts, code and the host journal live; each agent has a folder of its own below it. */
  workDir: string;
  labels?: Record<string, string>;
  /** Milliseconds a session outlives its last renewal. Default 15,000; the same in the whole fleet. */
  leaseMs?: number;
  /** Hand the connection to tasks in the service slots, so that controllers can work. Default true. */
  allowControllers?: boolean;
  /** Below this much free disk nothing is claimed, and tasks whose output waits there stand still. Default 256 MiB. */
  minFreeDiskBytes?: number;
  /** Below this much available memory nothing is claimed. Default 128 MiB. */
  minFreeMemoryBytes?: number;
  /** How long what runs outlives this agent's process, frozen, for the next one to adopt it. Default 10 minutes. */
  adoptWithinMs?: number;
  /** Most processes and threads that one task may have, where the machine can limit them. Default 0: as many as it likes. */
  maxPids?: number;
  /** Bytes of one task's output that may wait here to be stored; beyond that it stands still. Default 1 GiB. */
  maxSpoolBytes?: number;
  /** Bytes of a task's log that are kept, half from its start and half from its end, when the task says nothing. Default 2 GiB. */
  logLimitBytes?: number;
  /** Which container engine tasks with an image run in; `process`: none. Default `auto`: the first that answers, if any. */
  runtime?: Runtime;
  /** What tasks may ask of their containers. Default: nothing that reaches the host. */
  containers?: ContainerRules;
  /** Where the engine finds `workDir`: needed, and checked, when the agent itself runs in a container. */
  hostWorkDir?: string;
  /** What is kept of repositories, mirrors and checkouts together; the least recently used go. Default 20 GiB. */
  gitCacheBytes?: number;
  /** A call of git that takes longer is ended. Default 15 minutes. */
  gitLimitMs?: number;
  /** After which ends an attempt's folder is removed; what stays is under `kept` for `keepDays`. Default always. */
  clean?: CleanPolicy;
  /** Days that a folder is kept. Default 7. */
  keepDays?: number;
  /** Bytes of environments that set-ups have made; beyond it those go that were not used for the longest time. Default 20 GiB. */
  maxEnvironmentsBytes?: number;
  /** URL of the store for artifacts of tasks that name none: `file://` or `s3://`. Default: the fleet's own object store. */
  artifactStore?: string;
  /** Bytes of inputs that are kept for the next task that wants them; beyond it those go that were not used for the longest time. Default 20 GiB. */
  maxInputsBytes?: number;
  /** With less free disk than that, kept folders and unused environments go, the oldest first. Default 1 GiB. */
  keepFreeDiskBytes?: number;
  /** Answer what unchanged scripts call on a local port, and tell them of it by `MLFLOW_TRACKING_URI` and the like. Default true. */
  facades?: boolean;
  /** The file that says where the values of secrets are. Default: none but those that are sealed for this agent. */
  secretsFile?: string;
  /** A folder in memory (tmpfs) for the secrets of running tasks. Default /dev/shm. */
  secretsDir?: string;
  /** Begin without the host journal of an earlier run, which is moved aside. Default false. */
  forget?: boolean;
  log: Logger;
}

/** `always`: nothing stays; `onSuccess`: what ended otherwise stays; `never`: all stays. */
export const CLEAN_POLICIES = ["always", "onSuccess", "never"] as const;
export type CleanPolicy = (typeof CLEAN_POLICIES)[number];

/** The options with every default in place. */
export interface AgentConfig extends Required<Omit<AgentOptions, "hostWorkDir" | "artifactStore" | "secretsFile">> {
  artifactStore: string | undefined;
  hostWorkDir: string | undefined;
  secretsFile: string | undefined;
  /** This agent's own folder. */
  folder: string;
  /** All it serves: its queues, and `services` when it has service slots. */
  serves: string[];
  /** Nobody said how many: there may be one for each GPU. */
  hasDefaultSlots: boolean;
}

const MIN_LEASE_MS = 2_000;
const GIT_LIMIT_MS = 15 * 60_000;
const ADOPT_WITHIN_MS = 10 * 60_000;
const MIB = 2 ** 20;
const GIB = 1024 * MIB;

/** @throws NavvyError invalid_argument */
export function resolveConfig(options: AgentOptions): AgentConfig {
  const queues = options.queues ?? [DEFAULT_QUEUE];
  const serviceSlots = options.serviceSlots ?? 4;
  const compute = queues.filter((queue) => queue !== SERVICES_QUEUE);
  for (const queue of queues) checkName("queue", queue);
  const slots = options.slots ?? Math.min(4, cpus().length);
  for (const [name, count] of Object.entries({ slots, serviceSlots })) {
    if (!Number.isInteger(count) || count < 0 || count > 1024)
      throw new NavvyError("invalid_argument", `${name} is ${count}; it must be a whole number from 0 to 1024`);
  }
  const leaseMs = options.leaseMs ?? DEFAULT_LEASE_MS;
  if (!(leaseMs >= MIN_LEASE_MS))
    throw new NavvyError("invalid_argument", `a lease of ${leaseMs} ms is too short`, {
      why: "a renewal and one repeat of it must fit in before it is over, also on a busy machine",
      fix: "--lease 2s or longer, the same in the whole fleet",
    });
  if (slots + serviceSlots === 0)
    throw new NavvyError("invalid_argument", `agent ${options.name} has no slots at all`, { fix: "--slots 1" });
  return {
    connection: options.connection,
    name: checkName("agent", options.name),
    queues: compute,
    serves: serviceSlots > 0 ? [...compute, SERVICES_QUEUE] : compute,
    order: options.order ?? "strict",
    slots: compute.length > 0 ? slots : 0,
    hasDefaultSlots: compute.length > 0 && options.slots === undefined,
    serviceSlots,
    gpus: options.gpus ?? "auto",
    workDir: options.workDir,
    shareGpus: options.shareGpus ?? false,
    gpuLockFolder: options.gpuLockFolder ?? "",
    folder: join(options.workDir, options.name),
    runtime: options.runtime ?? "auto",
    containers: options.containers ?? NO_RULES,
    hostWorkDir: options.hostWorkDir,
    labels: options.labels ?? {},
    leaseMs,
    allowControllers: options.allowControllers ?? true,
    minFreeDiskBytes: options.minFreeDiskBytes ?? 256 * MIB,
    minFreeMemoryBytes: options.minFreeMemoryBytes ?? 128 * MIB,
    adoptWithinMs: options.adoptWithinMs ?? ADOPT_WITHIN_MS,
    maxPids: options.maxPids ?? 0,
    maxSpoolBytes: options.maxSpoolBytes ?? 1024 * MIB,
    logLimitBytes: options.logLimitBytes ?? 2 * GIB,
    gitCacheBytes: options.gitCacheBytes ?? 20 * 1024 * MIB,
    gitLimitMs: options.gitLimitMs ?? GIT_LIMIT_MS,
    clean: options.clean ?? "always",
    keepDays: options.keepDays ?? 7,
    maxEnvironmentsBytes: options.maxEnvironmentsBytes ?? 20 * GIB,
    artifactStore: options.artifactStore === undefined ? undefined : parseStoreUrl(options.artifactStore).url,
    maxInputsBytes: options.maxInputsBytes ?? 20 * GIB,
    keepFreeDiskBytes: options.keepFreeDiskBytes ?? GIB,
    facades: options.facades ?? true,
    secretsFile: options.secretsFile,
    secretsDir: options.secretsDir ?? "/dev/shm",
    forget: options.forget ?? false,
    log: options.log,
  };
}
