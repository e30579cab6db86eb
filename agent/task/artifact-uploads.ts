import { readdir, stat } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { type ContentStore, putFolder } from "../../broker/index.js";
import { type ArtifactRef, isNavvyError, MANIFEST_NAME, NavvyError } from "../../protocol/index.js";
import { patiently } from "../patiently.js";
import { describeFile } from "./artifact-preview.js";
import { StateFile } from "./state-file.js";

/** A record has little room: previews of an attempt's artifacts take no more of it than that. */
const MAX_PREVIEWS_CHARACTERS = 3_000;

export interface ArtifactUploadsOptions {
  attempt: number;
  /** Takes out of a text what may not leave this machine: previews show what files begin with. */
  clean?: (text: string) => string;
  signal?: AbortSignal;
  /** URL of the store, for the references. Absent: the fleet's own. */
  store?: string | undefined;
  /** Where it is kept which folders are one artifact each, for an agent that adopts the attempt. */
  memory?: string;
}

interface Done {
  mtimeMs: number;
  sizeBytes: number;
  ref: ArtifactRef;
}

/** Uploads what an attempt leaves; a file that was uploaded early and has not changed since goes only once. */
export class ArtifactUploads {
  /** It may be one that can not be opened: that is told to whoever uploads. */
  readonly #store: () => ContentStore;
  readonly #options: ArtifactUploadsOptions;
  readonly #clean: (text: string) => string;
  readonly #done = new Map<string, Done>();
  readonly #memory: StateFile<Record<string, string>> | undefined;
  /** Folders that are one artifact each: path → name. */
  #folders: Promise<Record<string, string>> | undefined;
  #previewCharacters = 0;

  constructor(store: ContentStore | (() => ContentStore), options: ArtifactUploadsOptions) {
    this.#store = typeof store === "function" ? store : () => store;
    this.#options = options;
    this.#clean = options.clean ?? ((text) => text);
    this.#memory = options.memory === undefined ? undefined : new StateFile(options.memory);
  }

  /** A file, or a folder as one artifact. @throws NavvyError not_found, invalid_argument (neither), conflict (it does not stop changing), and what the store says */
  async upload(name: string, path: string): Promise<ArtifactRef> {
    const found = await stat(path).catch(() => undefined);
    if (!found) throw new NavvyError("not_found", `there is no file ${path}`);
    if (found.isDirectory()) return this.#uploadFolder(name, path);
    if (!found.isFile()) throw new NavvyError("invalid_argument", `${path} is neither a file nor a folder`);
    const known = this.#done.get(name);
    if (known && known.mtimeMs === found.mtimeMs && known.sizeBytes === found.size) return known.ref;
    const { sha256, sizeBytes } = await this.#store().putFile(path, this.#options.signal);
    const ref = { ...this.#refOf(name, { sha256, sizeBytes }), ...(await this.#describe(name, path)) };
    this.#done.set(name, { mtimeMs: found.mtimeMs, sizeBytes: found.size, ref });
    return ref;
  }

  /** The same for one that is reported while the task runs: over outages, until it is cut short. */
  uploadEarly(name: string, path: string): Promise<ArtifactRef | undefined> {
    return patiently(
      () => this.upload(name, path),
      () => this.#options.signal?.aborted ?? false,
    );
  }

  /**
   * Every file below the folder, named by its path there, and every folder that was reported as one artifact. Links are not
   * followed: they could lead anywhere. One that can not be read keeps none of the others back. Each is told as soon as it is stored.
   * @returns what went wrong, in sentences
   */
  async collect(folder: string, onStored: (ref: ArtifactRef) => void): Promise<string[]> {
    const problems: string[] = [];
    for await (const { name, path } of this.#left(folder)) {
      try {
        onStored(await this.upload(name, path));
      } catch (error) {
        const goesOnChanging = isNavvyError(error, "conflict");
        // The store is away: all of it is tried again.
        if (this.#options.signal?.aborted || (isNavvyError(error) && error.retryable && !goesOnChanging)) throw error;
        problems.push(`artifact ${name}: ${(error as Error).message}`);
      }
    }
    return problems;
  }

  /** The whole list of an attempt's artifacts as an artifact. */
  async manifest(artifacts: ArtifactRef[]): Promise<ArtifactRef> {
    const stored = await this.#store().putBytes(Buffer.from(JSON.stringify(artifacts, null, 1)));
    return { ...this.#refOf(MANIFEST_NAME, stored), kind: "manifest" };
  }

  /** Whoever walks here by himself is not led out by a link to a folder, as `readdir` is. */
  async *#left(top: string, below = top): AsyncGenerator<{ name: string; path: string }> {
    const entries = await readdir(below, { withFileTypes: true }).catch(() => []); // the task removed it
    if (entries.length === 0) return;
    const folders = await this.#readFolders();
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(below, entry.name);
      const whole = entry.isDirectory() ? folders[path] : undefined;
      if (whole !== undefined) yield { name: whole, path };
      else if (entry.isDirectory()) yield* this.#left(top, path);
      else if (entry.isFile()) yield { name: relative(top, path).split(sep).join("/"), path };
    }
  }

  async #uploadFolder(name: string, path: string): Promise<ArtifactRef> {
    await this.#remember(name, path);
    const { leftOut, ...stored } = await putFolder(this.#store(), path, this.#options.signal);
    const said = leftOut.length > 0 ? `; left out: ${leftOut.length}, such as ${this.#clean(leftOut[0] ?? "")}` : "";
    const preview = `${stored.files} files${said}`.slice(0, 200);
    return { ...this.#refOf(name, stored), files: stored.files, mediaType: "inode/directory", preview };
  }

  async #remember(name: string, path: string): Promise<void> {
    const folders = await this.#readFolders();
    if (folders[path] === name) return;
    folders[path] = name;
    await this.#memory?.write(folders);
  }

  #readFolders(): Promise<Record<string, string>> {
    this.#folders ??= Promise.resolve(this.#memory?.read()).then((known) => known ?? {});
    return this.#folders;
  }

  async #describe(name: string, path: string): Promise<Partial<ArtifactRef>> {
    const { mediaType, preview } = await describeFile(name, path, this.#clean);
    if (preview === undefined || this.#previewCharacters + preview.length > MAX_PREVIEWS_CHARACTERS) return { mediaType };
    this.#previewCharacters += preview.length;
    return { mediaType, preview };
  }

  #refOf(name: string, { sha256, sizeBytes }: { sha256: string; sizeBytes: number }): ArtifactRef {
    const { attempt, store } = this.#options;
    return { name, sha256, sizeBytes, attempt, uploadedAt: new Date().toISOString(), ...(store === undefined ? {} : { store }) };
  }
}
