import type { Claim } from "../../broker/index.js";
import type { AgentConfig } from "../config.js";
import { self } from "../runners/container-args.js";
import { ownLabels } from "../runners/labels.js";
import type { ContainerRun, RunSpec } from "../runners/runner.js";
import { devicesOf } from "../slot-gpus.js";
import type { Slot } from "../slots.js";
import { taskEnvironment } from "./environment.js";
import { type AttemptFolder, libraryIn } from "./folder.js";
import type { Image } from "./image.js";
import { inputsOf } from "./input-words.js";
import { keyOf } from "./key.js";
import type { Prepared } from "./prepare.js";
import { programOf } from "./program.js";
import { attemptMounts, enginePath, SEEN_INSIDE, toInside } from "./seen.js";

/** What an attempt starts with. */
export interface Ready {
  slot: Slot;
  folder: AttemptFolder;
  prepared: Prepared;
}

/** What the runner is told of an attempt: its program, and what it is held to, also without us. */
export function runSpecOf(config: AgentConfig, claim: Claim, { slot, folder, prepared }: Ready): RunSpec {
  const { record } = claim;
  const { timeLimitMs, graceMs, resources } = record.spec;
  const { stdout, stderr, exitFile } = folder;
  const { image, cwd, secrets } = prepared;
  const seen = image ? SEEN_INSIDE : folder;
  return {
    key: keyOf(claim),
    argv: programOf(record.spec, inputsOf(record.spec, seen.inputs)).command,
    cwd: image ? (toInside(folder, cwd) ?? seen.work) : cwd,
    env: { ...taskEnvironment({ config, record, slot, folder: seen, inherited: process.env, prepared }), ...secrets?.env },
    ...(image ? { container: containerOf(config, claim, { slot, folder, prepared: { ...prepared, image } }) } : {}),
    ...{ stdout, stderr, exitFile, graceMs, ...secrets?.output },
    onDisconnect: record.onDisconnect ?? "freeze",
    ...(config.maxPids > 0 ? { maxPids: config.maxPids } : {}),
    ...(resources.memoryBytes === undefined ? {} : { maxMemoryBytes: resources.memoryBytes }),
    ...(timeLimitMs === undefined ? {} : { timeLimitMs }),
  };
}

/** The container that a task asks for, as this agent makes it. */
export function containerOf(config: AgentConfig, claim: Claim, ready: Ready & { prepared: { image: Image } }): ContainerRun {
  const { folder, prepared, slot } = ready;
  const { container, resources, inputs } = claim.record.spec;
  if (container === undefined) throw new Error("an image without a container");
  const { user, entrypoint, network, shmBytes, pids = Number.POSITIVE_INFINITY, args } = container;
  const gpus = devicesOf(slot);
  const maxPids = Math.min(pids, config.maxPids || Number.POSITIVE_INFINITY);
  const mounts = attemptMounts(folder, { hasInputs: Object.keys(inputs).length > 0, library: libraryIn(config.folder) });
  return {
    image: prepared.image.id,
    ...(user === "image" ? {} : { user: user === "self" ? self() : user }),
    ...(entrypoint ? { entrypoint } : {}),
    ...(network === undefined ? {} : { network }),
    ...(shmBytes === undefined ? {} : { shmBytes }),
    ...(Number.isFinite(maxPids) ? { pids: maxPids } : {}),
    ...(resources.cpus === undefined ? {} : { cpus: resources.cpus }),
    ...(resources.memoryBytes === undefined ? {} : { memoryBytes: resources.memoryBytes }),
    ...(gpus ? { gpus } : {}),
    mounts: [...mounts, ...prepared.mounts, ...(prepared.secrets?.mounts ?? [])].map((mount) => ({
      ...mount,
      source: enginePath(mount.source, config),
    })),
    args: [...config.containers.args, ...args],
    labels: {
      ...ownLabels(config),
      "navvy.task": claim.id,
      "navvy.attempt": String(claim.attempt),
      "navvy.image": prepared.image.reference,
    },
  };
}
