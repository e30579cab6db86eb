import { decode, isEnded, LogChunk, type TaskRecord } from "../../protocol/index.js";
import type { Bus } from "../bus.js";
import { follow } from "../follow.js";
import { LogAssembler } from "../log-assembler.js";
import type { LogPiece, ReadLogOptions } from "../logs.js";
import type { Objects } from "../objects.js";
import type { Tasks } from "../tasks/index.js";
import { RolledLogs } from "./rolled.js";

/** After a task has ended without its log's end (its machine was lost), what is still on its way gets this long. */
const STRAGGLER_MS = 1_500;

/** Milliseconds until what was read by then has come too; timers hold no more than 24 days. */
const untilThen = (time: string) => Math.min(Math.max(0, Date.parse(time) - Date.now()) + STRAGGLER_MS, 2 ** 31 - 1);

export interface ReadLogParts {
  bus: Bus;
  tasks: Tasks;
  objects: Objects;
}

/**
 * A task's log from where it stands: what was rolled from objects, the rest from the stream. Both go through one assembler, which
 * gives out each byte once, so a log may be rolled at any moment while it is read: whatever the stream no longer has, an object has.
 */
export async function* readLog(
  parts: ReadLogParts,
  task: Pick<TaskRecord, "id" | "attempt">,
  options: ReadLogOptions,
): AsyncGenerator<LogPiece> {
  const { bus, tasks, objects } = parts;
  const only = options.attempt ?? (options.follow ? undefined : task.attempt);
  const assembler = new LogAssembler(only);
  const rolled = new RolledLogs({ bucket: tasks.bucket, objects }, { id: task.id, only });
  const watch = options.follow ? await LogWatch.open(tasks, { id: task.id, only, assembler }) : undefined;
  const over = watch && options.until ? setTimeout(() => watch.end(), untilThen(options.until)) : undefined;
  let from: number | "start" = "start";
  let isCaughtUp = false;
  const onCaughtUp = () => {
    if (!isCaughtUp) options.onCaughtUp?.();
    isCaughtUp = true;
  };

  async function* stream(isLive: boolean, signal: AbortSignal | undefined): AsyncGenerator<LogPiece> {
    const subject = `${bus.subjects.root}.log.${task.id}.${only ?? "*"}`;
    const stream = bus.assets.streams.log.name;
    for await (const message of follow(bus, { stream, subject, from, untilCaughtUp: !isLive, onCaughtUp, signal })) {
      from = message.sequence + 1;
      const attempt = Number(bus.subjects.parse(message.subject)?.[2]);
      if (attempt > assembler.attempt) yield* rolled.missing(assembler, attempt);
      yield* assembler.take(attempt, decode(LogChunk, message.data, message.subject));
      watch?.check();
    }
  }

  try {
    yield* rolled.missing(assembler);
    while (watch && !watch.isOver && !options.signal?.aborted) {
      yield* stream(true, watch.turn(options.signal));
      if (!watch.isRolled) continue;
      const { attempt } = assembler;
      yield* rolled.missing(assembler);
      watch.taken = attempt;
    }
    if (options.signal?.aborted) return;
    if (!watch?.isComplete) {
      yield* stream(false, options.signal); // what a slow reader was behind
      yield* rolled.missing(assembler); // what was rolled meanwhile
    }
    yield* assembler.rest();
  } finally {
    clearTimeout(over);
    watch?.close();
  }
}

/** Follows the record while its log is followed: says when the log is over, and when a part of it has left the stream. */
class LogWatch {
  readonly #of: { only: number | undefined; assembler: LogAssembler };
  #record: TaskRecord | undefined;
  #turn = new AbortController();
  #straggler: NodeJS.Timeout | undefined;
  #close = () => {};
  /** Nothing more comes. */
  isOver = false;
  /** The attempt whose object was read already: whatever it lacked, it is not asked again. */
  taken = 0;

  static async open(tasks: Tasks, of: { id: string; only: number | undefined; assembler: LogAssembler }): Promise<LogWatch> {
    const log = new LogWatch(of);
    const watch = await tasks.watch(of.id, {
      onTask: (record) => {
        log.#record = record;
        clearTimeout(log.#straggler);
        log.#straggler = undefined;
        log.check();
      },
      onGone: () => log.end(),
    });
    log.#close = () => (clearTimeout(log.#straggler), watch.close());
    return log;
  }

  private constructor(of: { only: number | undefined; assembler: LogAssembler }) {
    this.#of = of;
  }

  /** For one stretch of reading: fires when the log is over, was rolled away from under the reader, or when `signal` does. */
  turn(signal: AbortSignal | undefined): AbortSignal {
    this.#turn = new AbortController();
    this.check();
    return signal ? AbortSignal.any([signal, this.#turn.signal]) : this.#turn.signal;
  }

  check(): void {
    if (this.isRolled) this.#turn.abort();
    const ended = this.#ended;
    if (!ended) return;
    if (ended.attempt === 0 || this.isComplete) this.end();
    else this.#straggler ??= setTimeout(() => this.end(), STRAGGLER_MS);
  }

  /** The task has ended, and all that its agent shipped was given out. */
  get isComplete(): boolean {
    const bytes = this.#ended && this.#entry(this.#of.only ?? this.#ended.attempt)?.logBytes;
    return bytes !== undefined && this.#of.assembler.has(this.#of.only ?? this.#ended?.attempt ?? 0, bytes);
  }

  /** An object has more of the attempt that is being read than was given out. */
  get isRolled(): boolean {
    const { assembler } = this.#of;
    const log = this.taken === assembler.attempt ? undefined : this.#entry(assembler.attempt)?.log;
    return log !== undefined && !assembler.has(assembler.attempt, log.bytes);
  }

  close(): void {
    this.#close();
  }

  get #ended(): TaskRecord | undefined {
    const { only } = this.#of;
    const record = this.#record;
    return record && (isEnded(record.status) || (only !== undefined && record.attempt > only)) ? record : undefined;
  }

  #entry(attempt: number) {
    return this.#record?.attempts.find((each) => each.attempt === attempt);
  }

  end(): void {
    this.isOver = true;
    this.#turn.abort();
  }
}
