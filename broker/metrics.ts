import { decode, encode, fromColumns, MediaItem, MetricBatch, type Point, toColumns, unpack } from "../protocol/index.js";
import type { Bus } from "./bus.js";
import { follow } from "./follow.js";
import { publishPatiently } from "./publish-patiently.js";

type Target = { id: string; attempt: number };

/** Of a task that has parked, all that belongs together: `firstAttempt` up to `attempt`. */
type Range = Target & { firstAttempt?: number | undefined };

export interface ReadMetricsOptions {
  /** Go on live until the signal. */
  follow?: boolean;
  signal?: AbortSignal;
}

/** Points of metrics, and media, on a stream, one subject of each per attempt; the points' summary stands in the record. */
export class Metrics {
  readonly #bus: Bus;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** Publishes one batch, over outages. `sequence` counts the attempt's batches from 0 and makes a repeat count once. */
  publish(target: Target & { signal?: AbortSignal }, points: Point[], sequence: number): Promise<void> {
    return this.#publish(target, sequence, {
      data: encode(toColumns(points, sequence)),
      subject: this.#bus.subjects.metric(target.id, target.attempt),
    });
  }

  /** The same for one piece of media; it counts as a batch. */
  publishMedia(target: Target & { signal?: AbortSignal }, item: Omit<MediaItem, "type" | "sequence">, sequence: number): Promise<void> {
    const data = encode({ type: "navvy.media.v1", sequence, ...item });
    return this.#publish(target, sequence, { data, subject: this.#bus.subjects.media(target.id, target.attempt) });
  }

  /** An attempt's points in order of reporting, batch by batch; `follow` goes on live until the signal. */
  async *read(target: Range, options: ReadMetricsOptions = {}): AsyncGenerator<Point[]> {
    const subjectOf = (attempt: number | "*") => this.#bus.subjects.metric(target.id, attempt);
    for await (const { value, what } of this.#messages(subjectOf, MetricBatch.shape.type.value, { ...target, ...options }))
      yield fromColumns(decode(MetricBatch, value, what));
  }

  /** An attempt's media in order of reporting. What an item's `sha256` names is an object. */
  async *media(target: Range, options: ReadMetricsOptions = {}): AsyncGenerator<MediaItem> {
    const subjectOf = (attempt: number | "*") => this.#bus.subjects.media(target.id, attempt);
    for await (const { value, what } of this.#messages(subjectOf, MediaItem.shape.type.value, { ...target, ...options }))
      yield decode(MediaItem, value, what);
  }

  /** One metric's whole series. */
  async series(target: Range, key: string): Promise<Point[]> {
    const points: Point[] = [];
    for await (const batch of this.read(target)) points.push(...batch.filter((point) => point.key === key));
    return points;
  }

  #publish(
    { id, attempt, signal }: Target & { signal?: AbortSignal },
    sequence: number,
    message: { subject: string; data: Uint8Array },
  ): Promise<void> {
    return publishPatiently(this.#bus, { ...message, msgID: `${id}.${attempt}.m${sequence}`, what: "metrics" }, signal);
  }

  /** Those of one type, each once; a newer navvy may have put others between them. */
  async *#messages(
    subjectOf: (attempt: number | "*") => string,
    type: string,
    { attempt, firstAttempt = attempt, ...options }: Range & ReadMetricsOptions,
  ): AsyncGenerator<{ value: Uint8Array; what: string }> {
    const seen = new Set<string>();
    const source = follow(this.#bus, {
      stream: this.#bus.assets.streams.metric.name,
      subject: subjectOf(firstAttempt < attempt ? "*" : attempt),
      from: "start",
      untilCaughtUp: !options.follow,
      signal: options.signal,
    });
    for await (const message of source) {
      const number = Number(this.#bus.subjects.parse(message.subject)?.[2]);
      if (number < firstAttempt || number > attempt) continue;
      const head = unpack(message.data, message.subject) as { type?: unknown; sequence?: unknown } | null;
      if (head?.type !== type) continue;
      const key = `${number}.${Number(head.sequence)}`;
      if (seen.has(key)) continue;
      seen.add(key);
      yield { value: message.data, what: message.subject };
    }
  }
}
