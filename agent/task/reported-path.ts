import { realpath } from "node:fs/promises";
import { isAbsolute, join, sep } from "node:path";
import { NavvyError } from "../../protocol/index.js";
import type { AttemptFolder } from "./folder.js";
import { toHost } from "./seen.js";

/**
 * The file that a task means by a path; a relative one starts at its code. A task in a container names the container's paths, and
 * neither they nor the links it makes may lead out of what it was given: the agent can read more than it.
 *
 * @throws NavvyError invalid_argument
 */
export async function reportedPath(folder: AttemptFolder, path: string, isContained: boolean): Promise<string> {
  if (!isContained) return isAbsolute(path) ? path : join(folder.work, path);
  const named = isAbsolute(path) ? toHost(folder, path) : join(folder.work, path);
  const real = named && (await realpath(named).catch(() => named));
  const roots = await Promise.all([folder.work, folder.artifacts, folder.home].map((root) => realpath(root).catch(() => root)));
  if (real !== undefined && roots.some((root) => real.startsWith(`${root}${sep}`))) return real;
  throw new NavvyError("invalid_argument", `${path} does not lie in the folders of its container`, {
    why: "a task in a container reports files of /navvy/work, /navvy/artifacts and /navvy/home",
    fix: "copy it into $NAVVY_ARTIFACTS",
  });
}
