import { lstat, readdir, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import type { Objects } from "../../broker/index.js";
import { type ArtifactRef, isNavvyError, MANIFEST_NAME, NavvyError } from "../../protocol/index.js";
import { patiently } from "../patiently.js";

/** Uploads what an attempt leaves; a file that was uploaded early and has not changed since goes only once. */
export class ArtifactUploads {
  readonly #objects: Objects;
  readonly #attempt: number;
  readonly #signal: AbortSignal | undefined;
  readonly #done = new Map<string, { mtimeMs: number; sizeBytes: number; ref: ArtifactRef }>();

  constructor(objects: Objects, options: { attempt: number; signal?: AbortSignal }) {
    this.#objects = objects;
    this.#attempt = options.attempt;
    this.#signal = options.signal;
  }

  /** @throws NavvyError not_found, invalid_argument (not a file), and what the object store says */
  async upload(name: string, path: string): Promise<ArtifactRef> {
    const found = await stat(path).catch(() => undefined);
    if (!found) throw new NavvyError("not_found", `there is no file ${path}`);
    if (!found.isFile()) throw new NavvyError("invalid_argument", `${path} is not a file`, { fix: "leave folders in $NAVVY_ARTIFACTS" });
    const known = this.#done.get(name);
    if (known && known.mtimeMs === found.mtimeMs && known.sizeBytes === found.size) return known.ref;
    const { sha256, sizeBytes } = await this.#objects.putFile(path, this.#signal);
    const ref: ArtifactRef = { name, sha256, sizeBytes, attempt: this.#attempt, uploadedAt: new Date().toISOString() };
    this.#done.set(name, { mtimeMs: found.mtimeMs, sizeBytes: found.size, ref });
    return ref;
  }

  /** The same for one that is reported while the task runs: over outages, until it is cut short. */
  uploadEarly(name: string, path: string): Promise<ArtifactRef | undefined> {
    return patiently(
      () => this.upload(name, path),
      () => this.#signal?.aborted ?? false,
    );
  }

  /**
   * Every file below the folder, named by its path there. Links are not followed: they could lead anywhere. One that can not
   * be read keeps none of the others back. Each is told as soon as it is stored.
   * @returns what went wrong, in sentences
   */
  async collect(folder: string, onStored: (ref: ArtifactRef) => void): Promise<string[]> {
    const problems: string[] = [];
    const top = await readdir(folder).catch(() => [] as string[]); // the task removed its folder
    const names = top.length === 0 ? top : await readdir(folder, { recursive: true });
    for (const entry of names.sort()) {
      const path = join(folder, entry);
      const found = await lstat(path).catch(() => undefined);
      if (!found?.isFile()) continue;
      const name = relative(folder, path).split(sep).join("/");
      try {
        onStored(await this.upload(name, path));
      } catch (error) {
        if (this.#signal?.aborted || (isNavvyError(error) && error.retryable)) throw error; // the store is away: all of it is tried again
        problems.push(`artifact ${name}: ${(error as Error).message}`);
      }
    }
    return problems;
  }

  /** The whole list of an attempt's artifacts as an artifact. */
  async manifest(artifacts: ArtifactRef[]): Promise<ArtifactRef> {
    const { sha256, sizeBytes } = await this.#objects.putBytes(Buffer.from(JSON.stringify(artifacts, null, 1)));
    return { name: MANIFEST_NAME, sha256, sizeBytes, attempt: this.#attempt, uploadedAt: new Date().toISOString(), kind: "manifest" };
  }
}
