import { decode, encode, fromColumns, MetricBatch, type Point, toColumns } from "../protocol/index.js";
import type { Bus } from "./bus.js";
import { follow } from "./follow.js";
import { publishPatiently } from "./publish-patiently.js";

/** Points of metrics on a stream, one subject per attempt; their summary stands in the record. */
export class Metrics {
  readonly #bus: Bus;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  /** Publishes one batch, over outages. `sequence` counts the attempt's batches from 0 and makes a repeat count once. */
  publish(target: { id: string; attempt: number; signal?: AbortSignal }, points: Point[], sequence: number): Promise<void> {
    const message = {
      subject: this.#bus.subjects.metric(target.id, target.attempt),
      data: encode(toColumns(points, sequence)),
      msgID: `${target.id}.${target.attempt}.m${sequence}`,
      what: "metrics" as const,
    };
    return publishPatiently(this.#bus, message, target.signal);
  }

  /** An attempt's points in order of reporting, batch by batch; `follow` goes on live until the signal. */
  async *read(target: { id: string; attempt: number }, options: { follow?: boolean; signal?: AbortSignal } = {}): AsyncGenerator<Point[]> {
    const seen = new Set<number>();
    const source = follow(this.#bus, {
      stream: this.#bus.assets.streams.metric.name,
      subject: this.#bus.subjects.metric(target.id, target.attempt),
      from: "start",
      untilCaughtUp: !options.follow,
      signal: options.signal,
    });
    for await (const message of source) {
      const batch = decode(MetricBatch, message.data, message.subject);
      if (seen.has(batch.sequence)) continue;
      seen.add(batch.sequence);
      yield fromColumns(batch);
    }
  }

  /** One metric's whole series. */
  async series(target: { id: string; attempt: number }, key: string): Promise<Point[]> {
    const points: Point[] = [];
    for await (const batch of this.read(target)) points.push(...batch.filter((point) => point.key === key));
    return points;
  }
}
