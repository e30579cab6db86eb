import { stat } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { parseStoreUrl, putFolder } from "../../../broker/index.js";
import { type ArtifactRef, type InputRef, isNavvyError, type NavvyError } from "../../../protocol/index.js";
import type { Call, Handler } from "../../call.js";
import { EXIT } from "../../exit-codes.js";
import type { View } from "../../output/output.js";
import { age, size } from "../../output/quantities.js";
import { findTask } from "../../references.js";
import type { ArtifactGetOptions, ArtifactPutOptions } from "../artifact.js";
import { place } from "./place.js";

const ARTIFACT_VIEW: View<ArtifactRef> = {
  kind: "artifact",
  name: (artifact) => artifact.name,
  empty: "no artifacts",
  columns: [
    { title: "ARTIFACT", value: (artifact) => artifact.name, isFlexible: true },
    { title: "TYPE", value: (artifact) => typeOf(artifact) },
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

/** `navvy artifact get TASK [NAME] [--to PATH]`: prints where each lies now. */
export const get: Handler<[string, string | undefined], ArtifactGetOptions> = async (call, reference, name) => {
  const navvy = await call.navvy();
  const wanted = await wantedOf(call, reference, name);
  for (const artifact of wanted) {
    const file = await place(artifact.name, call.options.to, name === undefined ? { isFolder: true } : {});
    await navvy.artifacts.fetch(artifact, file);
    call.out.show(ARTIFACT_VIEW, { ...artifact, file } as ArtifactRef, () => `${file}  ${size(artifact.sizeBytes)}`);
  }
};

/** `navvy artifact cat TASK NAME` */
export const cat: Handler<[string, string]> = async (call, reference, name) => {
  const navvy = await call.navvy();
  const task = await findTask(call, reference);
  await pipeline(navvy.artifacts.read(task, name), process.stdout, { end: false });
};

/** `navvy artifact verify TASK [NAME]`: reads all of it; exits with 1 when something of it is not what it should be. */
export const verify: Handler<[string, string | undefined]> = async (call, reference, name) => {
  const navvy = await call.navvy();
  let isWhole = true;
  for (const artifact of await wantedOf(call, reference, name)) {
    const problem = await navvy.artifacts.verify(artifact).then(
      () => undefined,
      (error: unknown) => {
        if (!isNavvyError(error, "corrupt") && !isNavvyError(error, "not_found")) throw error;
        return error;
      },
    );
    isWhole &&= problem === undefined;
    const said = { ...artifact, verified: problem === undefined, ...(problem ? { problem: problem.message } : {}) };
    call.out.show(ARTIFACT_VIEW, said as ArtifactRef, () => verdict(artifact, problem));
  }
  return isWhole ? EXIT.ok : EXIT.failed;
};

function verdict(artifact: ArtifactRef, problem: NavvyError | undefined): string {
  const { name, sizeBytes, sha256 } = artifact;
  return problem
    ? `✖ ${name}  ${problem.message}${problem.why ? `: ${problem.why}` : ""}`
    : `✔ ${name}  ${size(sizeBytes)}  ${sha256.slice(0, 12)}`;
}

/** `navvy artifact put PATH [--task DRAFT] [--store URL]`: a draft finds it at `$NAVVY_INPUTS/NAME`. */
export const put: Handler<[string], ArtifactPutOptions> = async (call, path) => {
  const navvy = await call.navvy();
  const { options } = call;
  const draft = options.task === undefined ? undefined : await findTask(call, options.task);
  const store = options.store === undefined ? undefined : parseStoreUrl(options.store).url;
  const { leftOut, ...stored } = await putPath(call, path, store);
  for (const problem of leftOut) call.out.talk(`left out: ${problem}`);
  const input: InputRef = { ...stored, ...(store === undefined ? {} : { store }) };
  const name = options.name ?? basename(resolve(path));
  if (draft) {
    await navvy.tasks.edit(
      draft.id,
      (task) => ({ ...task, spec: { ...task.spec, inputs: { ...task.spec.inputs, [name]: input } } }),
      `input ${name}`,
    );
  }
  const { sha256, sizeBytes, files } = input;
  const shown = files === undefined ? "" : `  ${files} files`;
  call.out.show({ kind: "object", name: () => sha256 }, { name, ...input }, () => `${sha256}  ${size(sizeBytes)}${shown}  ${name}`);
};

async function putPath(call: Call<unknown>, path: string, store: string | undefined): Promise<InputRef & { leftOut: string[] }> {
  const to = (await call.navvy()).artifacts.stores.at(store);
  const found = await stat(path).catch(() => undefined); // told by the store
  if (found?.isDirectory()) return putFolder(to, path);
  const { sha256, sizeBytes } = await to.putFile(path);
  return { sha256, sizeBytes, leftOut: [] };
}

async function wantedOf(call: Call<unknown>, reference: string, name: string | undefined): Promise<ArtifactRef[]> {
  const navvy = await call.navvy();
  const task = await findTask(call, reference);
  const wanted = name === undefined ? await navvy.artifacts.listAll(task) : [await navvy.artifacts.resolve(task, name)];
  if (wanted.length === 0) call.out.talk("no artifacts");
  return wanted;
}

function typeOf({ kind, version, files, mediaType }: ArtifactRef): string {
  const type = files === undefined ? (mediaType ?? "") : `folder, ${files} files`;
  if (kind === undefined) return type;
  return `${kind}${version === undefined ? "" : ` ${version}`}${type === "" ? "" : ` (${type})`}`;
}
