import { type ArtifactRef, closest, type InputRef, MANIFEST_NAME, NavvyError, type TaskRecord } from "../protocol/index.js";
import type { ContentStore } from "./contents/content-store.js";
import { folderParts, getFolder } from "./contents/folder.js";
import { type FileEntry, readTree } from "./contents/folder-tree.js";
import { Stores } from "./contents/stores.js";

const MAX_MANIFEST_BYTES = 256 * 1024 * 1024;

/** What is needed to find stored content, of an artifact or of an input. */
export type ContentRef = Pick<ArtifactRef, "sha256"> & { files?: number | undefined; store?: string | undefined };

/** Files and folders that tasks produced: content by its hash, named by the record. */
export class Artifacts {
  readonly stores: Stores;

  constructor(objects: ContentStore) {
    this.stores = new Stores(objects);
  }

  list(task: TaskRecord): ArtifactRef[] {
    return [...task.reported.artifacts].sort((a, b) => a.name.localeCompare(b.name));
  }

  /** @throws NavvyError not_found, with the name that was probably meant */
  find(task: TaskRecord, name: string): ArtifactRef {
    const names = task.reported.artifacts.map((artifact) => artifact.name);
    const found = task.reported.artifacts.find((artifact) => artifact.name === name);
    if (found) return found;
    const meant = closest(name, names);
    throw new NavvyError(
      "not_found",
      `task ${task.id} (${task.name}) has no artifact ${JSON.stringify(name)}${meant ? `; did you mean ${JSON.stringify(meant)}?` : ""}`,
      {
        why: names.length ? `it has: ${names.join(", ")}` : `it has none; it is ${task.status}`,
        fix: `navvy artifact ls ${task.id.slice(-8)}`,
      },
    );
  }

  /** All of them, also of a task that has more than its record names. */
  async listAll(task: TaskRecord): Promise<ArtifactRef[]> {
    const manifest = task.reported.artifacts.find(({ name, kind }) => name === MANIFEST_NAME && kind === "manifest");
    if (!manifest) return this.list(task);
    const bytes = await this.#storeOf(manifest).getBytes(manifest.sha256, { maxBytes: MAX_MANIFEST_BYTES });
    return [manifest, ...(JSON.parse(Buffer.from(bytes).toString("utf8")) as ArtifactRef[])];
  }

  /** Streams the content into a file, or lays the folder down; it appears whole and verified or not at all. */
  async download(task: TaskRecord, name: string, path: string): Promise<ArtifactRef> {
    const found = await this.resolve(task, name);
    await this.fetch(found, path);
    return found;
  }

  /** The same for a reference. @throws NavvyError not_found, corrupt, disk_full, invalid_argument (a folder's place is taken) */
  async fetch(ref: ContentRef, path: string, signal?: AbortSignal): Promise<void> {
    const store = this.#storeOf(ref);
    if (ref.files === undefined) await store.getToFile(ref.sha256, path, signal);
    else await getFolder(store, ref.sha256, { path, signal });
  }

  /** The content, verified at its end; of a folder one of its files, by its path behind the folder's name. */
  async *read(task: TaskRecord, name: string): AsyncGenerator<Uint8Array> {
    const { store, sha256 } = await this.#fileOf(task, name);
    yield* this.stores.at(store).get(sha256);
  }

  /** Reads all of it and checks it; nothing is kept. @throws NavvyError not_found, corrupt */
  async verify(ref: ContentRef): Promise<{ files: number; sizeBytes: number }> {
    const store = this.#storeOf(ref);
    if (ref.files === undefined) return { files: 1, sizeBytes: await drain(store, ref.sha256) };
    const files = (await readTree(store, ref.sha256)).filter((entry) => "sha256" in entry);
    let sizeBytes = 0;
    for (const file of files) sizeBytes += await drain(store, file.sha256);
    return { files: files.length, sizeBytes };
  }

  /** What lies in a folder. @throws NavvyError corrupt, not_found */
  async filesOf(ref: ContentRef): Promise<FileEntry[]> {
    return (await readTree(this.#storeOf(ref), ref.sha256)).filter((entry) => "sha256" in entry);
  }

  /** Like `find`, also among those that the record does not name. @throws NavvyError not_found */
  async resolve(task: TaskRecord, name: string): Promise<ArtifactRef> {
    const all = await this.listAll(task);
    return all.find((artifact) => artifact.name === name) ?? this.find(task, name);
  }

  async #fileOf(task: TaskRecord, name: string): Promise<ContentRef> {
    const all = await this.listAll(task);
    const found = all.find((artifact) => artifact.name === name);
    const folder = found ?? all.find((artifact) => artifact.files !== undefined && name.startsWith(`${artifact.name}/`));
    if (folder === undefined) return this.find(task, name);
    if (folder.files === undefined) return folder;
    const files = await this.filesOf(folder);
    const file = files.find(({ path }) => path === name.slice(folder.name.length + 1));
    if (file) return { sha256: file.sha256, store: folder.store };
    throw new NavvyError("invalid_argument", `artifact ${folder.name} of task ${task.id} is a folder`, {
      why: `it holds: ${files
        .slice(0, 20)
        .map(({ path }) => path)
        .join(", ")}${files.length > 20 ? ", …" : ""}`,
      fix: [
        `navvy artifact get ${task.id.slice(-8)} ${folder.name}`,
        ...(files[0] ? [`navvy artifact cat ${task.id.slice(-8)} ${folder.name}/${files[0].path}`] : []),
      ],
    });
  }

  #storeOf(ref: ContentRef): ContentStore {
    return this.stores.at(ref.store);
  }
}

/** An artifact as another task's input. */
export function inputRefOf({ name, sha256, sizeBytes, files, store }: ArtifactRef, task: string): InputRef {
  return {
    sha256,
    sizeBytes,
    from: { task, artifact: name },
    ...(files === undefined ? {} : { files }),
    ...(store === undefined ? {} : { store }),
  };
}

/**
 * Names in the fleet's object store of all that a reference keeps in use: the content, its chunks, and for a folder those of its
 * files. What lies in another store has none.
 * @throws NavvyError not_found, corrupt: then what it is made of can not be known
 */
export async function* artifactObjects(ref: ContentRef | InputRef, objects: ContentStore): AsyncGenerator<string, void, undefined> {
  if (ref.store !== undefined) return;
  if (ref.files === undefined) yield* objects.partsOf(ref.sha256);
  else yield* folderParts(objects, ref.sha256);
}

async function drain(store: ContentStore, sha256: string): Promise<number> {
  let sizeBytes = 0;
  for await (const bytes of store.get(sha256)) sizeBytes += bytes.length;
  return sizeBytes;
}
