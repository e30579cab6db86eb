import { type ArtifactRef, closest, NavvyError, type TaskRecord } from "../protocol/index.js";
import type { Objects } from "./objects.js";

const MAX_MANIFEST_BYTES = 256 * 1024 * 1024;

/** Files that tasks produced: content-addressed objects, named by the record. */
export class Artifacts {
  readonly #objects: Objects;

  constructor(objects: Objects) {
    this.#objects = objects;
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
    const manifest = task.reported.artifacts.find((artifact) => artifact.kind === "manifest");
    if (!manifest) return this.list(task);
    const bytes = await this.#objects.getBytes(manifest.sha256, { maxBytes: MAX_MANIFEST_BYTES });
    return [manifest, ...(JSON.parse(Buffer.from(bytes).toString("utf8")) as ArtifactRef[])];
  }

  /** Streams the content into a file, verified; the file appears whole or not at all. */
  async download(task: TaskRecord, name: string, file: string): Promise<ArtifactRef> {
    const found = await this.resolve(task, name);
    await this.#objects.getToFile(found.sha256, file);
    return found;
  }

  /** The content, verified at its end. */
  async *read(task: TaskRecord, name: string): AsyncGenerator<Uint8Array> {
    yield* this.#objects.get((await this.resolve(task, name)).sha256);
  }

  /** Like `find`, also among those that the record does not name. @throws NavvyError not_found */
  async resolve(task: TaskRecord, name: string): Promise<ArtifactRef> {
    const all = await this.listAll(task);
    return all.find((artifact) => artifact.name === name) ?? this.find(task, name);
  }
}
