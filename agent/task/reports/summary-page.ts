import { readFile, stat } from "node:fs/promises";
import type { Objects } from "../../../broker/index.js";
import { patiently } from "../../patiently.js";

const MAX_SUMMARY_BYTES = 1024 * 1024;

type Stored = { sha256: string; sizeBytes: number };

/** A task's page for people, Markdown: kept as an object whenever it has changed. */
export class SummaryPage {
  readonly #path: string;
  readonly #objects: Objects;
  readonly #signal: AbortSignal;
  readonly #clean: (text: string) => string;
  #seen = "";

  /** @param parts `clean` takes out of a text what may not leave this machine */
  constructor(path: string, parts: { objects: Objects; signal: AbortSignal; clean: (text: string) => string }) {
    this.#path = path;
    this.#objects = parts.objects;
    this.#signal = parts.signal;
    this.#clean = parts.clean;
  }

  /** @returns what the file holds now; undefined: the same as before @throws Error: it can not be taken, told once for each state of it */
  async changed(): Promise<Stored | undefined> {
    const found = await stat(this.#path).catch(() => undefined);
    if (!found?.isFile() || found.size === 0) return undefined;
    const seen = `${found.size} ${found.mtimeMs}`;
    if (seen === this.#seen) return undefined;
    this.#seen = seen;
    if (found.size > MAX_SUMMARY_BYTES) throw new Error(`$NAVVY_SUMMARY is ${found.size} bytes, over the limit of 1 MiB: not taken`);
    return this.store(Buffer.from(this.#clean(await readFile(this.#path, "utf8"))));
  }

  async store(text: Uint8Array): Promise<Stored | undefined> {
    if (text.length > MAX_SUMMARY_BYTES) throw new Error("the summary is over the limit of 1 MiB: not taken");
    const stored = await patiently(
      () => this.#objects.putBytes(text),
      () => this.#signal.aborted,
    );
    return stored && { sha256: stored.sha256, sizeBytes: stored.sizeBytes };
  }
}
