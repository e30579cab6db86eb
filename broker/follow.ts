import { AckPolicy, DeliverPolicy, nanos, ReplayPolicy } from "nats";
import type { Bus } from "./bus.js";
import { translate } from "./nats-error.js";
import { persist } from "./persist.js";
import { type PullEnd, type PulledMessage, Puller } from "./pull.js";

export interface FollowOptions {
  stream: string;
  subject: string;
  /** `start`: everything kept; `new`: only what comes; a number: that sequence and on. */
  from: "start" | "new" | number;
  /** End when all that was stored has been read. */
  untilCaughtUp?: boolean;
  /** Leave out what the messages hold. */
  headersOnly?: boolean;
  /** Called once: what was stored at the beginning has been taken. */
  onCaughtUp?: (() => void) | undefined;
  signal?: AbortSignal | undefined;
}

const PARKED_MS = 20_000;
const BATCH = 64;

/**
 * Reads a subject of a stream in order, without gap or repeat, over restarts of the server: batches from an ephemeral
 * consumer, made anew at the next sequence whenever it does not answer. Memory is bounded by one batch.
 */
export async function* follow(bus: Bus, options: FollowOptions): AsyncGenerator<PulledMessage> {
  const puller = new Puller(bus);
  const reader: Reader = { bus, puller, options, next: options.from, delivered: 0 };
  const off = bus.onReconnect(() => {
    reader.consumer = undefined;
    reader.cancel?.abort(); // the parked pull is lost with the connection
  });
  const stop = () => reader.cancel?.abort();
  options.signal?.addEventListener("abort", stop, { once: true });
  try {
    while (!options.signal?.aborted && !bus.nc.isClosed()) {
      const isDone = yield* readBatch(reader);
      if (isDone) return;
    }
  } finally {
    options.signal?.removeEventListener("abort", stop);
    off();
    if (reader.consumer && !bus.nc.isClosed()) void bus.jsm.consumers.delete(options.stream, reader.consumer).catch(() => undefined); // else it ends by itself
    puller.close();
  }
}

interface Reader {
  bus: Bus;
  puller: Puller;
  options: FollowOptions;
  next: FollowOptions["from"];
  /** Deliveries of the present consumer so far. */
  delivered: number;
  isCaughtUp?: boolean;
  consumer?: string | undefined;
  /** Ends the pull that is parked. */
  cancel?: AbortController;
}

/** Yields one batch as it arrives; returns whether all is read. */
async function* readBatch(reader: Reader): AsyncGenerator<PulledMessage, boolean> {
  const { options, bus } = reader;
  const pending = await prepare(reader);
  if (reader.consumer === undefined) return false;
  if (pending === 0) caughtUp(reader);
  if (options.untilCaughtUp && pending === 0) return true;
  const queue: PulledMessage[] = [];
  let ended: PullEnd | undefined;
  let wake = () => {};
  reader.cancel = new AbortController();
  const pulling = reader.puller.pull({
    stream: options.stream,
    consumer: reader.consumer,
    batch: BATCH,
    expiresMs: options.untilCaughtUp ? 0 : PARKED_MS,
    signal: reader.cancel.signal,
    onMessage: (message) => (queue.push(message), wake()),
  });
  void pulling.then((end) => ((ended = end), wake()));
  for (;;) {
    const message = queue.shift();
    if (message === undefined) {
      if (ended !== undefined) break;
      await new Promise<void>((resolve) => (wake = resolve));
      continue;
    }
    if (message.delivery !== reader.delivered + 1) return lost(reader);
    reader.delivered++;
    reader.next = message.sequence + 1;
    yield message;
    if (message.pending === 0) caughtUp(reader);
    if (options.untilCaughtUp && message.pending === 0) return true;
  }
  if (ended === "unanswered") lost(reader);
  return options.untilCaughtUp === true && ended === "drained" && !bus.nc.isClosed();
}

function caughtUp(reader: Reader): void {
  if (reader.isCaughtUp) return;
  reader.isCaughtUp = true;
  reader.options.onCaughtUp?.();
}

/** A message or the consumer went missing: go on with a new consumer at the next sequence. */
function lost(reader: Reader): false {
  reader.consumer = undefined;
  return false;
}

/** Makes the consumer where there is none; returns how many messages wait for it, when known. */
async function prepare(reader: Reader): Promise<number | undefined> {
  if (reader.consumer !== undefined) return undefined;
  const { bus, options } = reader;
  try {
    const add = () => bus.jsm.consumers.add(options.stream, consumerConfig(options, reader.next));
    const info = options.untilCaughtUp ? await persist(bus, add) : await add();
    // From now on by sequence, so that nothing between two consumers is missed.
    if (reader.next === "new") reader.next = info.delivered.stream_seq + 1;
    reader.consumer = info.name;
    reader.delivered = 0;
    return info.num_pending;
  } catch (error) {
    if (options.untilCaughtUp) throw translate(error, `read ${options.subject}`, bus.source);
    await new Promise((resolve) => setTimeout(resolve, 200)); // the server is away: try again until it is back
    return undefined;
  }
}

function consumerConfig(options: FollowOptions, from: FollowOptions["from"]) {
  const start =
    typeof from === "number"
      ? { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: from }
      : { deliver_policy: from === "start" ? DeliverPolicy.All : DeliverPolicy.New };
  return {
    ...start,
    ack_policy: AckPolicy.None,
    replay_policy: ReplayPolicy.Instant,
    filter_subject: options.subject,
    inactive_threshold: nanos(60_000),
    mem_storage: true,
    ...(options.headersOnly ? { headers_only: true } : {}),
  };
}
