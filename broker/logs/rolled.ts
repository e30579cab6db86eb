import type { TaskRecord } from "../../protocol/index.js";
import type { Bucket } from "../bucket.js";
import type { LogAssembler } from "../log-assembler.js";
import type { LogPiece } from "../logs.js";
import type { Objects } from "../objects.js";
import { unpackFrames } from "./frames.js";

/** The part of one task's log that stands in objects and no longer in the stream. */
export class RolledLogs {
  readonly #bucket: Bucket<typeof TaskRecord>;
  readonly #objects: Pick<Objects, "get">;
  readonly #id: string;
  readonly #only: number | undefined;

  /** @param task `only`: that attempt alone */
  constructor(parts: { bucket: Bucket<typeof TaskRecord>; objects: Pick<Objects, "get"> }, task: { id: string; only: number | undefined }) {
    this.#bucket = parts.bucket;
    this.#objects = parts.objects;
    this.#id = task.id;
    this.#only = task.only;
  }

  /**
   * What the assembler does not have yet of the attempts whose log was rolled, in order. A log may be rolled while it is read from
   * the stream, at any place: the assembler drops what it has given out, so asking again leaves neither gap nor repeat.
   * @param before only attempts older than that
   */
  async *missing(assembler: LogAssembler, before = Number.POSITIVE_INFINITY): AsyncGenerator<LogPiece> {
    const record = (await this.#bucket.get(this.#id))?.value;
    for (const { attempt, log } of record?.attempts ?? []) {
      const isWanted = attempt >= assembler.attempt && attempt < before && (this.#only === undefined || attempt === this.#only);
      if (!log || !isWanted || assembler.has(attempt, log.bytes)) continue;
      const what = `the rolled log of task ${this.#id}, attempt ${attempt}`;
      for await (const chunk of unpackFrames(this.#objects.get(log.sha256), what)) yield* assembler.take(attempt, chunk);
      yield* assembler.rest(); // nothing more comes to fill a hole
    }
  }
}
