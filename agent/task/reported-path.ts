import { constants } from "node:fs";
import { open, readlink, realpath } from "node:fs/promises";
import { isAbsolute, join, sep } from "node:path";
import { NavvyError } from "../../protocol/index.js";
import type { AttemptFolder } from "./folder.js";
import { toHost } from "./seen.js";

/** Whose paths these are. */
export interface Reporter {
  folder: AttemptFolder;
  isContained: boolean;
}

/**
 * Does something with the file that a task means by a path; a relative one starts at its code. A task in a container names the
 * container's paths, and neither they nor the links it makes may lead out of what it was given: the agent can read more than it. So a
 * file of it is opened first, and `act` gets a path of what was opened, whatever its name leads to in the next moment. A folder is
 * only looked at by its name.
 *
 * @throws NavvyError invalid_argument, and what `act` throws
 */
export async function atReportedPath<T>({ folder, isContained }: Reporter, path: string, act: (path: string) => Promise<T>): Promise<T> {
  if (!isContained) return act(isAbsolute(path) ? path : join(folder.work, path));
  const named = isAbsolute(path) ? toHost(folder, path) : join(folder.work, path);
  const roots = await Promise.all([folder.work, folder.artifacts, folder.home].map((root) => realpath(root).catch(() => root)));
  const real = named && (await realpath(named).catch(() => named));
  if (real === undefined || !isWithin(roots, real)) throw outside(path);
  return whatWasOpened({ path: real, roots }, path, act);
}

/** Opens what lies at a path of the host now, and looks where that is. `shown`: the path in the task's terms. */
export async function whatWasOpened<T>(
  { path, roots }: { path: string; roots: string[] },
  shown: string,
  act: (path: string) => Promise<T>,
): Promise<T> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(() => undefined);
  if (!handle) return act(path); // it is not there, or not to be read: whoever acts says so
  try {
    const opened = `/proc/self/fd/${handle.fd}`;
    const isKnown = process.platform === "linux";
    if (isKnown && !isWithin(roots, await readlink(opened))) throw outside(shown);
    const isFolder = (await handle.stat()).isDirectory();
    return await act(isKnown && !isFolder ? opened : path);
  } finally {
    await handle.close();
  }
}

function isWithin(roots: string[], path: string): boolean {
  return roots.some((root) => path.startsWith(`${root}${sep}`));
}

function outside(path: string): NavvyError {
  return new NavvyError("invalid_argument", `${path} does not lie in the folders of its container`, {
    why: "a task in a container reports files of /navvy/work, /navvy/artifacts and /navvy/home",
    fix: "copy it into $NAVVY_ARTIFACTS",
  });
}
