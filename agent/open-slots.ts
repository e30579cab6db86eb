import { offeredLabels } from "../protocol/index.js";
import type { AgentConfig } from "./config.js";
import { GpuCare } from "./host/gpus/care.js";
import { defaultLockFolder, GpuLocks } from "./host/gpus/locks.js";
import type { Machine } from "./host/machine.js";
import type { SpawnerClient } from "./host/spawner-client.js";
import type { Engines } from "./runners/engines.js";
import type { Secrets } from "./secrets/secrets.js";
import { Slots } from "./slots.js";

/** What there is room on, and for whom it is kept. */
export interface OpenSlotsParts {
  config: AgentConfig;
  machine: Machine;
  spawner: Pick<SpawnerClient, "pid">;
  engines: Engines;
  secrets: Secrets;
  /** Something that did not fit may fit now. */
  onFree: () => void;
}

/**
 * The room that this machine has for tasks, with whoever says which of its GPUs may be given out and tells the other agents of
 * the host. Where nobody said how many slots there are, there is one for each GPU at least.
 * @throws NavvyError setup_failed when the folder of the locks can not be written
 */
export async function openSlots({
  config,
  machine,
  spawner,
  engines,
  secrets,
  onFree,
}: OpenSlotsParts): Promise<{ slots: Slots; keeper: GpuCare }> {
  const { gpus, cpus, memoryBytes, diskBytes } = machine.facts;
  if (config.hasDefaultSlots) config.slots = Math.max(config.slots, gpus.length);
  const folder = config.gpuLockFolder || defaultLockFolder();
  const isLocked = gpus.length > 0 && !config.shareGpus;
  const locks = isLocked
    ? await GpuLocks.open({ folder, agent: config.name, agentFolder: config.folder, spawnerPid: spawner.pid })
    : undefined;
  const keeper = new GpuCare({ gpus, look: () => machine.lookAtGpus(), locks, onFree, log: config.log });
  const offer = {
    gpus,
    cpus,
    memoryBytes,
    diskBytes,
    labels: offeredLabels(config.labels, secrets.names),
    container: engines.current !== undefined,
  };
  const slots = new Slots({ compute: config.slots, service: config.serviceSlots }, offer, keeper);
  engines.onChange(() => slots.offerContainers(engines.current !== undefined));
  secrets.onChange(() => slots.offerLabels(offeredLabels(config.labels, secrets.names)));
  return { keeper, slots };
}
