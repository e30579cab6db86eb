import { createHash } from "node:crypto";
import { connect, DiscardPolicy, type NatsConnection } from "nats";
import type { Bus } from "../../broker/bus.js";
import { Objects } from "../../broker/objects.js";
import { Trouble } from "../../broker/trouble.js";
import { Assets } from "../../protocol/index.js";
import { tempFolder } from "./folder.js";
import { type Nats, type StartNatsOptions, startNats } from "./nats.js";

export const MIB = 1024 * 1024;

/** A server with an object store, a connection to it and a folder; all gone when disposed. */
export interface ObjectsBed extends AsyncDisposable {
  nats: Nats;
  nc: NatsConnection;
  bus: Bus;
  objects: Objects;
  folder: string;
  stream: string;
  /** Messages in the store: every object is its chunks and one meta. */
  messageCount(): Promise<number>;
  lastSequence(): Promise<number>;
  chunkSubject(name: string): Promise<string>;
}

/** The stream alone, without the fleet's others: those reserve more than a small server has. */
export async function objectsBed(options: StartNatsOptions = {}): Promise<ObjectsBed> {
  const folder = await tempFolder();
  const nats = await startNats(options);
  const nc = await connect({
    servers: nats.url,
    noAsyncTraces: true,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
    reconnectJitter: 50,
  });
  const bus = await busOver(nc);
  const bucket = bus.assets.objects.name;
  const stream = `OBJ_${bucket}`;
  const subjects = [`$O.${bucket}.C.>`, `$O.${bucket}.M.>`];
  await bus.jsm.streams.add({ name: stream, subjects, allow_rollup_hdrs: true, allow_direct: true, discard: DiscardPolicy.New });
  const state = async () => (await bus.jsm.streams.info(stream)).state;
  return {
    nats,
    nc,
    bus,
    objects: new Objects(bus),
    folder: folder.path,
    stream,
    messageCount: async () => (await state()).messages,
    lastSequence: async () => (await state()).last_seq,
    chunkSubject: async (name) => `$O.${bucket}.C.${(await (await bus.js.views.os(bucket)).info(name))?.nuid}`,
    [Symbol.asyncDispose]: async () => {
      await nc.close();
      await nats.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function busOver(nc: NatsConnection): Promise<Bus> {
  const assets = new Assets();
  return {
    nc,
    js: nc.jetstream({ timeout: 2_000 }),
    jsm: await nc.jetstreamManager({ timeout: 2_000 }),
    assets,
    subjects: assets.subjects,
    source: "the test's server",
    actor: "test",
    trouble: new Trouble(),
    onReconnect: () => () => undefined,
  };
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export async function* pieces(bytes: Uint8Array, step: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}
