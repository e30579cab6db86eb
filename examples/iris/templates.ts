import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type Navvy, packBundle } from "../../broker/index.js";
import type { CodeRef, TaskSpec } from "../../protocol/index.js";
import { packageFolder } from "./package-folder.js";

export const PROJECT = "iris";

/** The templates' task ids, by what they do; `train-python` only where there is a python3. */
export type Templates = { prepare: string; train: string; evaluate: string; "train-python"?: string };

/** Registers the tasks that the controller clones. Their code is one bundle: the folder with the task programs. */
export async function registerTemplates(navvy: Navvy): Promise<{ templates: Templates; code: CodeRef }> {
  const folder = join(packageFolder(), "examples", "iris");
  const code = await upload(navvy, join(folder, "tasks"));
  const data = await navvy.objects.putFile(join(folder, "data", "iris.csv"));
  const create = async (name: string, spec: Partial<TaskSpec>, taskType = "training") => {
    return (await navvy.tasks.create({ name, project: PROJECT, taskType, spec: { code, ...spec } })).id;
  };
  const input = { "iris.csv": { sha256: data.sha256, sizeBytes: data.sizeBytes } };
  const general = { General: { lr: 0.1, epochs: 60, seed: 7 } };
  const templates: Templates = {
    prepare: await create(
      "prepare",
      { command: ["node", "prepare.mjs"], inputs: input, parameters: { General: { seed: 7 } } },
      "data_processing",
    ),
    train: await create("train", { command: ["node", "train.mjs"], parameters: general }),
    evaluate: await create("evaluate", { command: ["node", "evaluate.mjs"] }, "testing"),
  };
  if (await hasPython())
    templates["train-python"] = await create("train-python", { command: ["python3", "train.py"], parameters: general });
  return { templates, code };
}

async function upload(navvy: Navvy, folder: string): Promise<CodeRef> {
  const into = await mkdtemp(join(tmpdir(), "navvy-iris-code-"));
  try {
    const { file, sha256, sizeBytes, files, origin } = await packBundle(folder, { into });
    await navvy.objects.putFile(file);
    return { bundle: sha256, sizeBytes, files, origin };
  } finally {
    await rm(into, { recursive: true, force: true });
  }
}

async function hasPython(): Promise<boolean> {
  const places = (process.env["PATH"] ?? "").split(delimiter).map((folder) => access(join(folder, "python3")));
  return (await Promise.allSettled(places)).some((place) => place.status === "fulfilled");
}
