import { spawn } from "node:child_process";
import { once } from "node:events";
import { ulid } from "ulid";
import { Bucket, type Navvy, type PulledMessage, Puller } from "../broker/index.js";
import { encode, TaskRecord } from "../protocol/index.js";
import { eachOf } from "./fleet.js";

/**
 * The least that a queue of processes can do, in one process: record, publish, pull, compare-and-set twice, raw spawn,
 * ack. No lease, no logs, no journal, no folders, no fencing.
 */
export async function bareLoop(navvy: Navvy, options: { tasks: number; slots: number }): Promise<number> {
  const { bus } = navvy;
  const lane = { queue: "bare", class: "normal", shape: "cpu" } as const;
  await navvy.queues.ensureLane(lane);
  const template = await navvy.tasks.create({ name: "bare", spec: { command: ["/bin/true"] } });
  const bucket = new Bucket(bus, bus.assets.buckets.tasks.name, TaskRecord);
  const known = new Map<string, number>();
  const puller = new Puller(bus);
  let waiting: ((message: PulledMessage) => void)[] = [];
  const ready: PulledMessage[] = [];

  const submit = async () => {
    const id = ulid();
    known.set(id, (await bucket.create(id, { ...template, id, status: "queued" })) ?? 0);
    await bus.js.publish(bus.subjects.lane(lane), encode({ type: "navvy.ticket.v1", id, ticket: 1 }), { msgID: `${id}.1` });
  };
  const next = async (): Promise<PulledMessage> => {
    const message = ready.shift();
    if (message) return message;
    const arrives = new Promise<PulledMessage>((resolve) => waiting.push(resolve));
    void puller.pull({
      stream: bus.assets.streams.queue.name,
      consumer: bus.subjects.laneConsumer(lane),
      batch: 1,
      expiresMs: 5_000,
      onMessage: (m) => (waiting.shift() ?? ((late) => ready.push(late)))(m),
    });
    return arrives;
  };
  const run = async () => {
    const message = await next();
    const entry = await bucket.get(template.id.length > 0 ? idOf(message) : "");
    if (!entry) throw new Error("a bare task has no record");
    const claimed = await bucket.update(entry.key, { ...entry.value, status: "running" }, entry.revision);
    message.ack();
    await once(spawn("/bin/true", { stdio: "ignore" }), "exit");
    await bucket.update(entry.key, { ...entry.value, status: "completed" }, claimed ?? 0);
  };
  const started = performance.now();
  await Promise.all([eachOf(options.tasks, 16, submit), eachOf(options.tasks, options.slots, run)]);
  const seconds = (performance.now() - started) / 1000;
  puller.close();
  waiting = [];
  return options.tasks / seconds;
}

const idOf = (message: PulledMessage): string =>
  Buffer.from(message.data)
    .toString("latin1")
    .match(/[0-9A-HJKMNP-TV-Z]{26}/)?.[0] ?? "";
