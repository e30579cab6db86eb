import { readFile, stat } from "node:fs/promises";
import type { Metrics, Objects } from "../../../broker/index.js";
import { MAX_INLINE_MEDIA_BYTES, type MediaItem } from "../../../protocol/index.js";
import { patiently } from "../../patiently.js";
import { timeOf } from "../report-line.js";
import { type Content, contentOf, type MediaLine } from "./media-content.js";

/** Of an attempt: each is a message, and may be an object. */
const MAX_ITEMS = 10_000;
const MAX_MEDIA_BYTES = 256 * 1024 * 1024;
/** Texts up to that size are shown without what may not leave this machine; larger ones are as good as artifacts. */
const MAX_CLEANED_BYTES = 4 * 1024 * 1024;
const TEXT = /^text\/|json|yaml|xml/;

export interface MediaParts {
  target: { id: string; attempt: number };
  metrics: Metrics;
  objects: Objects;
  signal: AbortSignal;
  /** Does something with the file that the task means by a path. @throws NavvyError */
  at: <T>(path: string, act: (file: string) => Promise<T>) => Promise<T>;
  tell: (key: string | undefined, text: string) => void;
  clean: (text: string) => string;
}

/** Ships what a task shows: small things within their message, large ones and files as objects. */
export class Media {
  readonly #parts: MediaParts;
  #count: number;

  constructor(parts: MediaParts, count = 0) {
    this.#parts = parts;
    this.#count = count;
  }

  /** Of items so far, those that were left out too. */
  get count(): number {
    return this.#count;
  }

  /** @param at the item's number on the stream, and its step */
  async take(line: MediaLine, at: { sequence: number; step: number }): Promise<void> {
    const { tell, metrics, target, signal } = this.#parts;
    if (this.#count++ >= MAX_ITEMS) {
      if (this.#count === MAX_ITEMS + 1)
        tell("media", `an attempt has at most ${MAX_ITEMS} media: further ones are left out, the first was ${line.name}`);
      return;
    }
    let item: Omit<MediaItem, "type" | "sequence">;
    try {
      const content = contentOf(line);
      const caption = line.caption === undefined ? {} : { caption: line.caption };
      const { kind, mediaType, remark } = content;
      item = { kind, name: line.name, step: at.step, time: timeOf(line), mediaType, ...caption, ...(await this.#stored(content)) };
      if (remark !== undefined) tell(undefined, `${line.t} ${line.name}: ${remark}`);
    } catch (error) {
      if (signal.aborted) throw error;
      return tell(undefined, `${line.t} ${line.name} was left out: ${(error as Error).message}`);
    }
    await metrics.publishMedia({ ...target, signal }, item, at.sequence);
  }

  finish(): void {
    if (this.#count > MAX_ITEMS)
      this.#parts.tell("media", `an attempt has at most ${MAX_ITEMS} media: ${this.#count - MAX_ITEMS} further ones were left out`);
  }

  async #stored({ path, bytes, mediaType }: Content): Promise<Pick<MediaItem, "data" | "sha256" | "sizeBytes">> {
    if (path === undefined) return this.#storedBytes(bytes ?? new Uint8Array());
    return this.#parts.at(path, (file) => this.#storedFile(file, { path, mediaType }));
  }

  async #storedFile(file: string, { path, mediaType }: { path: string; mediaType: string }) {
    const found = await stat(file).catch(() => undefined);
    if (!found) throw new Error(`there is no file ${path}`);
    if (!found.isFile()) throw new Error(`${path} is not a file`);
    if (found.size > MAX_MEDIA_BYTES) throw new Error(`${path} is larger than 256 MiB; leave it as an artifact`);
    if (found.size <= MAX_CLEANED_BYTES && TEXT.test(mediaType))
      return this.#storedBytes(Buffer.from(this.#parts.clean(await readFile(file, "utf8"))));
    if (found.size <= MAX_INLINE_MEDIA_BYTES) return this.#storedBytes(await readFile(file));
    const { objects, signal } = this.#parts;
    return this.#patiently(() => objects.putFile(file, signal));
  }

  async #storedBytes(bytes: Uint8Array): Promise<Pick<MediaItem, "data" | "sha256" | "sizeBytes">> {
    if (bytes.length <= MAX_INLINE_MEDIA_BYTES) return { data: bytes, sizeBytes: bytes.length };
    return this.#patiently(() => this.#parts.objects.putBytes(bytes));
  }

  async #patiently<T extends { sha256: string; sizeBytes: number }>(put: () => Promise<T>): Promise<Pick<T, "sha256" | "sizeBytes">> {
    const stored = await patiently(put, () => this.#parts.signal.aborted);
    if (!stored) throw new Error("it was cut short");
    return { sha256: stored.sha256, sizeBytes: stored.sizeBytes };
  }
}
