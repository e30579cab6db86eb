import type { Gpu, GpuVendor } from "../protocol/index.js";

/** A GPU as the task that holds it is to find it. */
export interface GpuDevice {
  /** Navvy's number for it on this machine. */
  index: number;
  vendor: GpuVendor;
  /** Names it to tools and container engines whatever its number is by then: its UUID, else its number. */
  id: string;
  /** What the vendor's own libraries call it in `CUDA_VISIBLE_DEVICES` and `HIP_VISIBLE_DEVICES`. */
  visible: string;
}

/** GPUs to keep a task to, all of one vendor. */
export interface SlotDevices {
  vendor: GpuVendor;
  /** For `docker run --gpus device=…` and the like. */
  ids: string[];
  visible: string[];
}

/**
 * `index` is navvy's number where the GPU's own has moved since. Libraries go by numbers in the order of the bus, which most programs read as numbers too; only an instance (MIG) has no
 * number of its own there and goes by its UUID.
 */
export function deviceOf(gpu: Gpu, index = gpu.index): GpuDevice {
  const id = gpu.uuid ?? String(gpu.index);
  return { index, vendor: gpu.vendor ?? "nvidia", id, visible: gpu.mig ? id : String(gpu.index) };
}

/** The GPUs of a slot; undefined when it has none. A slot of an earlier navvy's journal knows their numbers alone. */
export function devicesOf(slot: { gpus: readonly number[]; devices?: readonly GpuDevice[] | undefined }): SlotDevices | undefined {
  const devices = slot.devices ?? slot.gpus.map((index): GpuDevice => deviceOf({ index, name: "" }));
  const [first] = devices;
  if (first === undefined) return undefined;
  return { vendor: first.vendor, ids: devices.map((each) => each.id), visible: devices.map((each) => each.visible) };
}
