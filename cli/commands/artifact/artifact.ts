import { mkdir, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { ArtifactRef } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import type { View } from "../../output/output.js";
import { age, size } from "../../output/quantities.js";
import { findTask } from "../../references.js";
import type { ArtifactGetOptions, ArtifactPutOptions } from "../artifact.js";

const ARTIFACT_VIEW: View<ArtifactRef> = {
  kind: "artifact",
  name: (artifact) => artifact.name,
  empty: "no artifacts",
  columns: [
    { title: "ARTIFACT", value: (artifact) => artifact.name, isFlexible: true },
    { title: "SIZE", value: (artifact) => size(artifact.sizeBytes), align: "right" },
    { title: "ATTEMPT", value: (artifact) => String(artifact.attempt), align: "right" },
    { title: "AGE", value: (artifact) => age(artifact.uploadedAt), align: "right" },
    { title: "SHA256", value: (artifact) => artifact.sha256.slice(0, 12) },
  ],
};

/** `navvy artifact ls TASK` */
export const list: Handler<[string]> = async (call, reference) => {
  const navvy = await call.navvy();
  call.out.list(ARTIFACT_VIEW, await navvy.artifacts.listAll(await findTask(call, reference)));
};

/** `navvy artifact get TASK [NAME] [--to PATH]`: prints where each file lies now. */
export const get: Handler<[string, string | undefined], ArtifactGetOptions> = async (call, reference, name) => {
  const navvy = await call.navvy();
  const task = await findTask(call, reference);
  const wanted = name === undefined ? await navvy.artifacts.listAll(task) : [await navvy.artifacts.resolve(task, name)];
  if (wanted.length === 0) return call.out.talk("no artifacts");
  const isFolder = name === undefined || (await isDirectory(call.options.to));
  for (const artifact of wanted) {
    const file = isFolder ? join(call.options.to, safeName(artifact.name)) : call.options.to;
    await mkdir(dirname(file), { recursive: true });
    await navvy.artifacts.download(task, artifact.name, file);
    call.out.show(ARTIFACT_VIEW, { ...artifact, file }, () => `${file}  ${size(artifact.sizeBytes)}`);
  }
};

/** `navvy artifact cat TASK NAME` */
export const cat: Handler<[string, string]> = async (call, reference, name) => {
  const navvy = await call.navvy();
  const task = await findTask(call, reference);
  await pipeline(navvy.artifacts.read(task, name), process.stdout, { end: false });
};

/** `navvy artifact put FILE [--task DRAFT]`: a draft finds it at `$NAVVY_INPUTS/NAME`. */
export const put: Handler<[string], ArtifactPutOptions> = async (call, file) => {
  const navvy = await call.navvy();
  const draft = call.options.task === undefined ? undefined : await findTask(call, call.options.task);
  const { sha256, sizeBytes } = await navvy.objects.putFile(file);
  const name = call.options.name ?? basename(file);
  if (draft) {
    await navvy.tasks.edit(
      draft.id,
      (task) => ({ ...task, spec: { ...task.spec, inputs: { ...task.spec.inputs, [name]: { sha256, sizeBytes } } } }),
      `input ${name}`,
    );
  }
  call.out.show({ kind: "object", name: () => sha256 }, { name, sha256, sizeBytes }, () => `${sha256}  ${size(sizeBytes)}  ${name}`);
};

/** A task chose the name: it must not lead out of the folder. */
function safeName(name: string): string {
  const parts = name.split(/[/\\]/).filter((part) => part !== "" && part !== "." && part !== "..");
  return parts.length > 0 ? join(...parts) : "artifact";
}

async function isDirectory(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined); // not there: it is the file's name
  return found?.isDirectory() ?? path.endsWith("/");
}
