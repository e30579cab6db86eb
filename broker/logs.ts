import { encode, type LogChunk, type LogStream, type TaskRecord } from "../protocol/index.js";
import type { Bus } from "./bus.js";
import type { LogFrame } from "./log-frame.js";
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
  /** So many bytes are not there: left out by a limit, or expired. `data` is empty then. */
  omitted?: number;
  data: Uint8Array;
}

export interface ReadLogOptions {
  /** Default: the latest attempt, of a task that has parked with those before it; with `follow` each attempt as it comes. */
  attempt?: number;
  /** History first, then live, until the task has ended. */
  follow?: boolean;
  /** Only what was read from then on, and up to then: RFC 3339 in UTC. A follow ends there. */
  since?: string | undefined;
  until?: string | undefined;
  /** Called once when all that was stored at the beginning has been given: what comes from here on is live. */
  onCaughtUp?: (() => void) | undefined;
  signal?: AbortSignal;
}

type LogOwner = Pick<TaskRecord, "id" | "attempt"> & Partial<Pick<TaskRecord, "firstAttempt" | "attempts">>;

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

  /** Publishes one chunk, over outages; safe to repeat. `frame`: it holds the chunk's bytes, and is not used until this resolves. */
  publish(
    target: { id: string; attempt: number },
    chunk: Omit<LogChunk, "type">,
    { signal, frame }: { signal?: AbortSignal; frame?: LogFrame | undefined } = {},
  ): Promise<void> {
    const message: LogChunk = { type: "navvy.log.v1", ...chunk };
    const data = frame ? frame.seal(message) : encode(message);
    const length = chunk.omitted === undefined ? chunk.data.length : `omitted-${chunk.omitted}`;
    const msgID = `${target.id}.${target.attempt}.${chunk.stream}.${chunk.offset}.${length}`;
    return publishPatiently(this.#bus, { subject: this.#bus.subjects.log(target.id, target.attempt), data, msgID, what: "logs" }, signal);
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

  /**
   * A task's log, from where it stands: its object once it was rolled, else the stream. Chunks of an attempt that was superseded never
   * show once the newer one has begun.
   */
  async *read(task: LogOwner, options: ReadLogOptions = {}): AsyncGenerator<LogPiece> {
    const { since, until } = options;
    for await (const piece of this.#read(task, options))
      if ((since === undefined || piece.at >= since) && (until === undefined || piece.at <= until)) yield piece;
  }

  /** Of a task that has parked, the attempts since the first of them are one log; a follow reads each as it comes anyway. */
  async *#read(task: LogOwner, options: ReadLogOptions): AsyncGenerator<LogPiece> {
    const parts = { bus: this.#bus, tasks: this.#tasks, objects: this.#objects };
    const { firstAttempt = task.attempt, attempts = [] } = task;
    const earlier = attempts.filter(({ attempt }) => attempt >= firstAttempt && attempt < task.attempt);
    if (options.attempt === undefined && !options.follow)
      for (const { attempt } of earlier) yield* readLog(parts, task, { ...options, attempt });
    yield* readLog(parts, task, options);
  }
}
