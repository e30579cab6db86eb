import { createHash } from "node:crypto";
import { Worker } from "node:worker_threads";

/**
 * A text and no file of its own: it is the same when this runs from source, from the build, and in tests.
 * A thread, since the runtime's own digest beside the event loop copies what it is given, which costs three times the hash.
 */
const THREAD = `
const { parentPort, workerData } = require("node:worker_threads");
const { createHash } = require("node:crypto");
const buffers = workerData.map((memory) => new Uint8Array(memory));
parentPort.on("message", ({ slot, length }) => {
  const sha256 = createHash("sha256").update(buffers[slot].subarray(0, length)).digest("hex");
  parentPort.postMessage({ slot, sha256 });
});`;

/** Small: it holds two names. */
const LIMITS = { maxOldGenerationSizeMb: 8, maxYoungGenerationSizeMb: 1, stackSizeMb: 1 };

/** A few buffers whose hashes are taken here or in a thread beside, while this one does something else. */
export class Digester {
  readonly buffers: readonly Buffer[];
  readonly #memories: SharedArrayBuffer[];
  readonly #waiting = new Map<number, { resolve: (sha256: string) => void; reject: (error: unknown) => void }>();
  readonly #hasThread: boolean;
  #thread: Worker | undefined;

  /** @param hasThread whether there is enough to do to start one */
  constructor(shape: { count: number; bytes: number; hasThread: boolean }) {
    this.#memories = Array.from({ length: shape.count }, () => new SharedArrayBuffer(shape.bytes));
    this.buffers = this.#memories.map((memory) => Buffer.from(memory));
    this.#hasThread = shape.hasThread;
  }

  /** Of the beginning of a buffer, which must stay as it is until then. */
  async digest(slot: number, length: number): Promise<string> {
    if (!this.#hasThread || this.#waiting.size > 0) return this.#here(slot, length);
    return this.#beside(slot, length);
  }

  /** The same, and never here: the event loop has other work. */
  async digestBeside(slot: number, length: number): Promise<string> {
    return this.#hasThread ? this.#beside(slot, length) : this.#here(slot, length);
  }

  async close(): Promise<void> {
    await this.#thread?.terminate();
  }

  #here(slot: number, length: number): string {
    return createHash("sha256")
      .update(this.buffers[slot]?.subarray(0, length) ?? "")
      .digest("hex");
  }

  #beside(slot: number, length: number): Promise<string> {
    this.#thread ??= this.#start();
    const thread = this.#thread;
    return new Promise((resolve, reject) => {
      this.#waiting.set(slot, { resolve, reject });
      thread.postMessage({ slot, length });
    });
  }

  #start(): Worker {
    const thread = new Worker(THREAD, { eval: true, workerData: this.#memories, resourceLimits: LIMITS, execArgv: [], env: {} });
    thread.unref();
    thread.on("message", ({ slot, sha256 }: { slot: number; sha256: string }) => {
      const waiting = this.#waiting.get(slot);
      this.#waiting.delete(slot);
      waiting?.resolve(sha256);
    });
    thread.on("error", (error) => {
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
    return thread;
  }
}
