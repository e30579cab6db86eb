import { type FileHandle, open } from "node:fs/promises";
import { NavvyError } from "../../protocol/index.js";

/** @throws NavvyError not_found, permission_denied, invalid_argument (a folder or device) */
export async function openFile(path: string): Promise<{ handle: FileHandle; sizeBytes: number }> {
  let handle: FileHandle;
  try {
    handle = await open(path, "r");
  } catch (error) {
    throw translateFile(error, path);
  }
  const stat = await handle.stat();
  if (stat.isFile()) return { handle, sizeBytes: stat.size };
  await handle.close();
  throw new NavvyError("invalid_argument", `${path} is not a regular file`, { fix: "pack a folder first" });
}

/** Puts the file system's refusals into our words; every other error passes unchanged. */
export function translateFile(error: unknown, path: string): unknown {
  const options = { cause: error, why: (error as Error).message };
  switch ((error as NodeJS.ErrnoException).code) {
    case "ENOENT":
      return new NavvyError("not_found", `file ${path} does not exist`, options);
    case "EACCES":
    case "EPERM":
      return new NavvyError("permission_denied", `file ${path}: this user may not use it`, options);
    case "ENOSPC":
    case "EDQUOT":
      return new NavvyError("disk_full", `file ${path}: no room left on the disk`, options);
    default:
      return error;
  }
}
