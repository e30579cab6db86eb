import { setTimeout as delay } from "node:timers/promises";
import { NavvyError } from "../protocol/index.js";
import type { Bus } from "./bus.js";
import { isOff, JS_ERROR, jetStreamCode, translateFirst } from "./nats-error.js";
import { PATIENCE_MS, persist } from "./persist.js";
import { isObjects, type NamedStream, probeConfig, streamConfigs } from "./setup-configs.js";

export interface SetUpOptions {
  /** Copies of every stream, on a cluster. Default 1; said expressly, streams that have fewer get as many. */
  replicas?: number | undefined;
  /** Wait for a server that does not answer for as long as it takes; default 10 s. */
  wait?: boolean | undefined;
}

/** The connection, and how long an outage on it is waited out. */
interface SetUp {
  bus: Bus;
  patienceMs: number;
}

/**
 * Makes the fleet's streams and buckets where they are missing. Idempotent, safe from several places at once; what is
 * there already is left as it is (an operator may have changed limits).
 * @throws NavvyError jetstream_unavailable, permission_denied, timeout, disk_full, invalid_argument (replicas that the servers can not hold)
 */
export async function setUp(bus: Bus, options: SetUpOptions = {}): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await setUpOnce(bus, options);
    } catch (error) {
      // In a cluster that may pass: servers that have just started do not all know each other, and what another set-up tries out
      // takes room for a moment.
      if (!isClustered(bus) || !isNoRoom((error as Error).cause) || performance.now() > deadline) throw error;
      await delay(RETRY_MS * (1 + Math.random())); // not all of them at the same moment again
    }
  }
}

const RETRY_MS = 200;

async function setUpOnce(bus: Bus, options: SetUpOptions): Promise<void> {
  const { replicas = 1, wait } = options;
  const parts = { bus, patienceMs: wait ? Number.POSITIVE_INFINITY : PATIENCE_MS };
  const configs = streamConfigs(bus.assets).map((config) => ({ ...config, num_replicas: replicas }));
  const there = await Promise.all(configs.map((config) => copiesOf(parts, config.name)));
  const missing = configs.filter((_, i) => there[i] === undefined);
  const sized = await fitting(parts, missing);
  await Promise.all(sized.map((config) => add(parts, config)));
  const fewer = options.replicas === undefined ? [] : configs.filter((_, i) => (there[i] ?? replicas) < replicas);
  for (const config of fewer) await raise(parts, config);
}

/** How many copies of a stream there are; undefined: there is no such stream. */
async function copiesOf(parts: SetUp, name: string): Promise<number | undefined> {
  const { bus } = parts;
  try {
    return (await ask(parts, () => bus.jsm.streams.info(name))).config.num_replicas;
  } catch (error) {
    if (jetStreamCode(error) === JS_ERROR.streamNotFound) return undefined;
    throw translateFirst(error, `look up stream ${name}`, bus.source);
  }
}

async function raise(parts: SetUp, config: NamedStream): Promise<void> {
  const { bus } = parts;
  try {
    await ask(parts, () => bus.jsm.streams.update(config.name, { num_replicas: config.num_replicas }));
  } catch (error) {
    if (TOO_FEW_SERVERS.has(jetStreamCode(error))) throw tooFewServers(bus, config, error);
    throw translateFirst(error, `make ${config.num_replicas} copies of stream ${config.name}`, bus.source);
  }
}

/** What objects may take beside the limited streams together, and what is left to the records, which have no limit. */
const OBJECTS = 1;
const HEADROOM = 0.25;
const LEAST_SHARE = 1 / 1024;

/**
 * A stream's limit is reserved when it is made, and once a server holds more than its store may take it refuses every write. So
 * in a small store all limits shrink alike and objects get one too, until there is room beside them: full logs drop their
 * oldest lines then, a full object store refuses an upload, and outcomes can still be recorded. What fits is found out by
 * making a stream of that size and taking it away again.
 */
async function fitting(parts: SetUp, missing: NamedStream[]): Promise<NamedStream[]> {
  const wanted = missing.reduce((sum, config) => sum + limitOf(config), 0);
  if (wanted === 0) return missing;
  const probe = { ...probeConfig(parts.bus.assets), num_replicas: missing[0]?.num_replicas ?? 1 };
  for (let share = 1; ; share /= 2) {
    try {
      await add(parts, { ...probe, max_bytes: Math.ceil(wanted * share * (1 + OBJECTS + HEADROOM)) });
      await parts.bus.jsm.streams.delete(probe.name).catch(() => undefined); // another set-up took it away, or will
      return share === 1 ? missing : missing.map((config) => shrunk(config, share, wanted));
    } catch (error) {
      if (!isNoRoom((error as Error).cause) || share / 2 < LEAST_SHARE) throw error;
    }
  }
}

/** A limit to share out: -1 and none mean without one. */
function limitOf(config: NamedStream): number {
  return Math.max(0, config.max_bytes ?? 0);
}

function shrunk(config: NamedStream, share: number, wanted: number): NamedStream {
  const limit = limitOf(config) || (isObjects(config) ? wanted * OBJECTS : 0);
  return limit > 0 ? { ...config, max_bytes: Math.floor(limit * share) } : config;
}

async function add(parts: SetUp, config: NamedStream): Promise<void> {
  const { bus } = parts;
  try {
    await ask(parts, () => bus.jsm.streams.add(config));
  } catch (error) {
    const number = jetStreamCode(error);
    if (number === JS_ERROR.streamNameInUse) return; // another set-up was first, with another share
    if (TOO_FEW_SERVERS.has(number)) throw tooFewServers(bus, config, error);
    throw translateFirst(error, `create stream ${config.name}`, bus.source);
  }
}

function isClustered(bus: Bus): boolean {
  return bus.nc.info?.cluster !== undefined;
}

/** A single server without JetStream says so at once; in a cluster the same is said while a leader is elected. */
async function ask<T>({ bus, patienceMs }: SetUp, request: () => Promise<T>): Promise<T> {
  let off: unknown;
  const answered = await persist(
    bus,
    () =>
      request().catch((error: unknown) => {
        if (!isOff(error) || isClustered(bus)) throw error;
        off = error;
      }),
    { patienceMs },
  );
  if (off !== undefined) throw off;
  return answered as T;
}

function isNoRoom(error: unknown): boolean {
  const number = jetStreamCode(error);
  return number === JS_ERROR.storageExceeded || number === JS_ERROR.insufficientResources || number === JS_ERROR.noSuitablePeers;
}

const TOO_FEW_SERVERS = new Set<number | undefined>([JS_ERROR.noSuitablePeers, JS_ERROR.replicasNotSupported]);

function tooFewServers(bus: Bus, config: NamedStream, cause: unknown): NavvyError {
  return new NavvyError("invalid_argument", `${bus.source} can not hold ${config.num_replicas} copies of everything`, {
    cause,
    why: (cause as Error).message,
    fix: "ask for one copy, or start as many clustered servers as copies, all of them up and with room",
  });
}
