import { decode, encode, isEnded, LogChunk, type LogStream, type TaskRecord } from "../protocol/index.js";
import type { Bus } from "./bus.js";
import { follow } from "./follow.js";
import { LogAssembler } from "./log-assembler.js";
import type { LogFrame } from "./log-frame.js";
import { publishPatiently } from "./publish-patiently.js";
import type { PulledMessage } from "./pull.js";
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
  /** Default: the latest attempt; with `follow` each attempt as it comes. */
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

/** After a task has ended without its log's end (its machine was lost), what is still on its way gets this long. */
const STRAGGLER_MS = 1_500;

/** Milliseconds until what was read by then has come too; timers hold no more than 24 days. */
const untilThen = (time: string) => Math.min(Math.max(0, Date.parse(time) - Date.now()) + STRAGGLER_MS, 2 ** 31 - 1);

/** What tasks print: chunks on a stream, one subject per attempt. */
export class Logs {
  readonly #bus: Bus;
  readonly #tasks: Tasks;

  constructor(bus: Bus, tasks: Tasks) {
    this.#bus = bus;
    this.#tasks = tasks;
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

  /** A task's log. Chunks of an attempt that was superseded never show once the newer one has begun. */
  async *read(task: Pick<TaskRecord, "id" | "attempt" | "status">, options: ReadLogOptions = {}): AsyncGenerator<LogPiece> {
    const { since, until } = options;
    for await (const piece of this.#all(task, options))
      if ((since === undefined || piece.at >= since) && (until === undefined || piece.at <= until)) yield piece;
  }

  async *#all(task: Pick<TaskRecord, "id" | "attempt" | "status">, options: ReadLogOptions): AsyncGenerator<LogPiece> {
    const [stop, live] = [new AbortController(), new AbortController()];
    const cancel = () => stop.abort();
    const over = options.follow && options.until ? setTimeout(cancel, untilThen(options.until)) : undefined;
    options.signal?.addEventListener("abort", cancel, { once: true });
    if (options.signal?.aborted) cancel();
    const only = options.attempt ?? (options.follow ? undefined : task.attempt);
    const assembler = new LogAssembler(only);
    const watch = options.follow
      ? await this.#stopAtEnd(task.id, { assembler, only, onComplete: cancel, onEnded: () => live.abort() })
      : undefined;
    const subject = `${this.#bus.subjects.root}.log.${task.id}.${only ?? "*"}`;
    try {
      for await (const message of this.#messages(subject, { ...options, live: live.signal, signal: stop.signal })) {
        const attempt = Number(this.#bus.subjects.parse(message.subject)?.[2]);
        yield* assembler.take(attempt, decode(LogChunk, message.data, message.subject));
        watch?.check();
      }
      yield* assembler.rest();
    } finally {
      clearTimeout(over);
      options.signal?.removeEventListener("abort", cancel);
      watch?.close();
    }
  }

  /** What is stored; or what comes until `live` ends, and then what is stored behind it: a reader may be far behind the end. */
  async *#messages(subject: string, options: Reading): AsyncGenerator<PulledMessage> {
    const { live, signal, onCaughtUp } = options;
    const common = { stream: this.#bus.assets.streams.log.name, subject };
    let from: "start" | number = "start";
    if (options.follow)
      for await (const message of follow(this.#bus, { ...common, from, onCaughtUp, signal: AbortSignal.any([live, signal]) })) {
        from = message.sequence + 1;
        yield message;
      }
    if (signal.aborted) return;
    yield* follow(this.#bus, { ...common, from, untilCaughtUp: true, signal, ...(options.follow ? {} : { onCaughtUp }) });
  }

  /** Ends a follow once the log of the last attempt is complete, or else the record has ended. */
  async #stopAtEnd(id: string, parts: Ends) {
    let ended: TaskRecord | undefined;
    let timer: NodeJS.Timeout | undefined;
    const check = () => {
      if (!ended) return;
      const attempt = parts.only ?? ended.attempt;
      const bytes = ended.attempts.find((known) => known.attempt === attempt)?.logBytes;
      if (ended.attempt === 0 || (bytes && parts.assembler.has(attempt, bytes))) parts.onComplete();
      else timer ??= setTimeout(parts.onEnded, STRAGGLER_MS);
    };
    const watch = await this.#tasks.watch(id, {
      onTask: (record) => {
        const isOver = isEnded(record.status) || (parts.only !== undefined && record.attempt > parts.only);
        ended = isOver ? record : undefined;
        clearTimeout(timer);
        timer = undefined;
        check();
      },
      onGone: parts.onComplete,
    });
    const close = () => (clearTimeout(timer), watch.close());
    return { check, close };
  }
}

interface Reading extends ReadLogOptions {
  /** Ends what is live. */
  live: AbortSignal;
  /** Ends it all. */
  signal: AbortSignal;
}

interface Ends {
  assembler: LogAssembler;
  only: number | undefined;
  /** There is no more to come. */
  onComplete: () => void;
  /** Nothing more will be written, and what is stored has not been read yet. */
  onEnded: () => void;
}
