import type { Gpu } from "../../../protocol/index.js";

/** A program that uses a GPU to compute. */
export interface GpuProcess {
  pid: number;
  name?: string | undefined;
}

/** A GPU as its vendor's tool shows it just now. */
export interface GpuReading extends Gpu {
  /** Undefined: the tool can not tell. */
  processes?: GpuProcess[] | undefined;
}

/** Asks one vendor's tool for all GPUs; undefined when the tool is not there. With `processes` it may take twice as long. */
export type GpuQuery = (options: { processes: boolean; id?: string | undefined }) => Promise<GpuReading[] | undefined>;

export const MIB = 1024 * 1024;

/** What a GPU can not tell stands as `[N/A]` or `[Not Supported]`. */
export function figure(text: string | undefined, unit = 1): number | undefined {
  const value = Number.parseFloat(text ?? "");
  return Number.isFinite(value) ? value * unit : undefined;
}

/** Without the fields that have no value. */
export function known<T extends object>(values: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
