import { readFile, rename, stat, utimes, writeFile } from "node:fs/promises";
import { bootId } from "../host/journal-entries.js";

/** What says that an environment is whole: a file beside its folder, written when everything is there. */
export interface Marker {
  key: string;
  /** Name of its folder. */
  folder: string;
  kind: string;
  /** The task that had it made. */
  task: string;
  madeAt: string;
  /** The boot of the machine that it was made in. */
  boot: string;
  sizeBytes: number;
}

/** By then the kernel has written everything to the disk by itself. */
const WRITTEN_BACK_MS = 120_000;

/** With when it was last used. Undefined: there is none, or it can not be trusted. */
export async function readMarker(path: string): Promise<(Marker & { usedAtMs: number }) | undefined> {
  try {
    const [text, { mtimeMs }] = await Promise.all([readFile(path, "utf8"), stat(path)]);
    const marker = JSON.parse(text) as Marker;
    return isOnDisk(marker, mtimeMs) ? { ...marker, usedAtMs: mtimeMs } : undefined;
  } catch {
    return undefined; // there is none, or a power failure tore it
  }
}

/**
 * A machine that went down right after an environment was made may have lost half of its files and kept the marker. One that was
 * still used a while later, in the same boot, is whole: so none needs to be forced to the disk when it is made.
 */
function isOnDisk({ boot, madeAt }: Marker, usedAtMs: number): boolean {
  return boot === bootId() || usedAtMs - Date.parse(madeAt) >= WRITTEN_BACK_MS;
}

export async function writeMarker(path: string, marker: Omit<Marker, "boot" | "madeAt">): Promise<void> {
  const whole: Marker = { ...marker, madeAt: new Date().toISOString(), boot: bootId() };
  await writeFile(`${path}.tmp`, `${JSON.stringify(whole)}\n`);
  await rename(`${path}.tmp`, path);
}

/** It is in use now. */
export async function touchMarker(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now);
}
