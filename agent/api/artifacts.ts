import { join } from "node:path";
import { isNavvyError, NavvyError } from "../../protocol/index.js";
import { SEEN_INSIDE } from "../task/seen.js";
import type { Act, ApiAttempt } from "./call.js";
import { SafeFolder } from "./safe-folder.js";
import { sendStream } from "./stream.js";

/** The attempt's artifacts, as the agent may touch them. */
export function artifactsOf({ folder }: Pick<ApiAttempt, "folder">): SafeFolder {
  return new SafeFolder(folder.artifacts, folder.root);
}

/** The body as a file in the artifacts folder, uploaded at once. `kind`: what it is. */
export const putArtifact: Act = async ({ attempt, request, query }, { name = "" }) => {
  const sizeBytes = await artifactsOf(attempt).write(name, request);
  const path = join(attempt.isContained ? SEEN_INSIDE.artifacts : attempt.folder.artifacts, name);
  const kind = query.get("kind");
  await attempt.events.append([{ t: "artifact", name, path, ...(kind ? { kind: kind.slice(0, 64) } : {}) }]);
  return { name, sizeBytes };
};

/** An artifact of any task of the fleet, from the store. */
export const sendArtifact: Act = async ({ attempt, response }, { task = "", name = "" }) => {
  const { tasks, artifacts, objects } = attempt.navvy;
  const record = await tasks.get(taskId(task));
  const { sha256, sizeBytes, kind } = await artifacts.resolve(record, name);
  response.setHeader("navvy-sha256", sha256);
  if (kind) response.setHeader("navvy-kind", encodeURIComponent(kind));
  try {
    await sendStream(response, objects.get(sha256), { sizeBytes });
  } catch (error) {
    if (!isNavvyError(error, "not_found")) throw error;
    throw new NavvyError("not_found", `artifact ${JSON.stringify(name)} of task ${task} is not in the store any more`, { cause: error });
  }
  return undefined;
};

function taskId(text: string): string {
  if (/^[0-9A-HJKMNP-TV-Z]{26}$/.test(text)) return text;
  throw new NavvyError("not_found", `there is no task ${JSON.stringify(text.slice(0, 40))}`, {
    why: "a task's id is 26 letters and digits",
  });
}
