import { type ArtifactRef, closest, NavvyError, type TaskRecord } from "../protocol/index.js";
import type { Artifacts } from "./artifacts.js";

/** An artifact of kind `model`, wherever it was made. */
export interface Model {
  name: string;
  /** What its task called it, else the beginning of its hash: the same content is the same version. */
  version: string;
  task: TaskRecord;
  ref: ArtifactRef;
}

/** The models of these tasks, the newest first. */
export async function modelsOf(tasks: readonly TaskRecord[], artifacts: Artifacts): Promise<Model[]> {
  const found: Model[] = [];
  for (const task of tasks)
    for (const ref of await artifacts.listAll(task).catch(() => artifacts.list(task)))
      if (ref.kind === "model") found.push({ name: ref.name, version: ref.version ?? ref.sha256.slice(0, 12), task, ref });
  return found.sort((a, b) => b.ref.uploadedAt.localeCompare(a.ref.uploadedAt));
}

/** The newest of a name, or of a version of it: `name` or `name@version`. @throws NavvyError not_found */
export function findModel(models: readonly Model[], reference: string): Model {
  const at = reference.lastIndexOf("@");
  const [name, version] = at > 0 ? [reference.slice(0, at), reference.slice(at + 1)] : [reference, undefined];
  const named = models.filter((model) => model.name === name);
  const found = named.find((model) => version === undefined || model.version === version);
  if (found) return found;
  const names = [...new Set(models.map((model) => model.name))];
  const meant = named.length > 0 ? undefined : closest(name, names);
  throw new NavvyError(
    "not_found",
    `there is no model ${JSON.stringify(reference)}${meant ? `; did you mean ${JSON.stringify(meant)}?` : ""}`,
    {
      why:
        named.length > 0
          ? `its versions: ${[...new Set(named.map((model) => model.version))].slice(0, 20).join(", ")}`
          : `there are: ${names.slice(0, 20).join(", ") || "none"}`,
      fix: "navvy model ls",
    },
  );
}
