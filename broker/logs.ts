import { encode, type LogChunk, type LogStream, type TaskRecord } from "../protocol/index.js";
import type { Bus } from "./bus.js";
import { readLog } from "./logs/read.js";
import { type Roll, type RollTarget, rollLog } from "./logs/roll.js";
import type { Objects } from "./objects.js";
import { publishPatiently } from "./publish-patiently.js";
import { countSubjects } from "./subject-counts.js";
import type { Tasks } from "./tasks/index.js";

/** A piece of an attempt's log, in order, without gap or repeat. */
export interface LogPiece {
  attempt: number;
  stream: LogStream;
  at: string;
  /** Of stream `navvy`: which part of the preparations it belongs to. */
  section?: string;
  data: Uint8Array;
}

export interface ReadLogOptions {
  /** Default: the latest attempt; with `follow` each attempt as it comes. */
  attempt?: number;
  /** History first, then live, until the task has ended. */
  follow?: boolean;
  signal?: AbortSignal;
}

/** What tasks print: chunks on a stream, one subject per attempt, until the attempt is over and its log rolled into an object. */
export class Logs {
  readonly #bus: Bus;
  readonly #tasks: Tasks;
  readonly #objects: Objects;

  constructor(bus: Bus, tasks: Tasks, objects: Objects) {
    this.#bus = bus;
    this.#tasks = tasks;
    this.#objects = objects;
  }

  /** Publishes one chunk, over outages; safe to repeat. */
  publish(target: { id: string; attempt: number }, chunk: Omit<LogChunk, "type">, signal?: AbortSignal): Promise<void> {
    const message: LogChunk = { type: "navvy.log.v1", ...chunk };
    const msgID = `${target.id}.${target.attempt}.${chunk.stream}.${chunk.offset}.${chunk.data.length}`;
    return publishPatiently(
      this.#bus,
      { subject: this.#bus.subjects.log(target.id, target.attempt), data: encode(message), msgID, what: "logs" },
      signal,
    );
  }

  /** Moves the log of an attempt that is over from the stream into one object; safe to repeat, by several at once. */
  roll(target: RollTarget): Promise<Roll> {
    return rollLog({ bus: this.#bus, bucket: this.#tasks.bucket, objects: this.#objects }, target);
  }

  /** The attempts of which the stream holds something, with the number of messages. */
  async standing(): Promise<(RollTarget & { messages: number })[]> {
    const { subjects, assets } = this.#bus;
    return (await countSubjects(this.#bus, assets.streams.log.name, `${subjects.root}.log.>`)).map(({ subject, messages }) => {
      const [, id = "", attempt] = subjects.parse(subject) ?? [];
      return { id, attempt: Number(attempt), messages };
    });
  }

  /** A task's log, from where it stands: its object once it was rolled, else the stream. Chunks of an attempt that was superseded never show once the newer one has begun. */
  read(task: Pick<TaskRecord, "id" | "attempt" | "status">, options: ReadLogOptions = {}): AsyncGenerator<LogPiece> {
    return readLog({ bus: this.#bus, tasks: this.#tasks, objects: this.#objects }, task, options);
  }
}
