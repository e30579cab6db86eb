import type { FileHandle } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { isNavvyError } from "../../protocol/index.js";
import { openFile } from "../objects/files.js";
import { changed } from "./put.js";

/** What is still being written gets these pauses to come to its end. */
const PAUSES_MS = [250, 1_000, 3_000];

/** A file that is open to be stored: it must stay what it was when it was opened. */
export interface SteadyFile {
  handle: FileHandle;
  sizeBytes: number;
  /** @throws NavvyError conflict when it has changed since */
  check: () => Promise<void>;
}

/**
 * Stores a file as it is at one moment: when it changes meanwhile what was read is dropped, and all of it is tried again, a few times.
 * @throws NavvyError conflict (it went on changing), not_found, permission_denied, invalid_argument
 */
export async function whileSteady<T>(path: string, act: (file: SteadyFile) => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await once(path, act);
    } catch (error) {
      const pauseMs = PAUSES_MS[tries];
      if (!isNavvyError(error, "conflict") || pauseMs === undefined) throw error;
      await delay(pauseMs, undefined, { signal });
    }
  }
}

async function once<T>(path: string, act: (file: SteadyFile) => Promise<T>): Promise<T> {
  const { handle, sizeBytes } = await openFile(path);
  try {
    const before = await handle.stat({ bigint: true });
    const check = async () => {
      const now = await handle.stat({ bigint: true });
      if (now.size !== before.size || now.mtimeNs !== before.mtimeNs) throw changed(path);
    };
    return await act({ handle, sizeBytes, check });
  } finally {
    await handle.close();
  }
}
