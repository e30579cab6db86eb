import { NavvyError } from "../protocol/index.js";
import { Artifacts } from "./artifacts.js";
import type { Bus } from "./bus.js";
import { Cache } from "./cache.js";
import { type ConnectOptions, openBus } from "./connect.js";
import { Events } from "./events.js";
import { Fleet } from "./fleet.js";
import { Journals } from "./journal.js";
import { Logs } from "./logs.js";
import { Metrics } from "./metrics.js";
import { Objects } from "./objects.js";
import { Queues } from "./queues.js";
import { Schedules } from "./schedules/index.js";
import { Secrets } from "./secrets.js";
import { setUp } from "./setup.js";
import { Storage } from "./storage/index.js";
import { Tasks } from "./tasks/index.js";
import { Triggers } from "./triggers/index.js";

export interface NavvyOptions extends ConnectOptions {
  /** Copies of every stream, on a cluster. Default `NAVVY_REPLICAS`, else 1; said expressly, streams that have fewer get as many. */
  replicas?: number;
  /** Whether a thread helps to hash large files, for 10 MB of memory as long. Default true. */
  hashesBeside?: boolean;
}

/** A fleet, seen through one NATS connection: the verbs by noun. */
export interface Navvy extends AsyncDisposable {
  readonly bus: Bus;
  readonly tasks: Tasks;
  readonly queues: Queues;
  readonly logs: Logs;
  readonly metrics: Metrics;
  readonly artifacts: Artifacts;
  readonly objects: Objects;
  readonly events: Events;
  readonly fleet: Fleet;
  readonly storage: Storage;
  readonly secrets: Secrets;
  readonly journals: Journals;
  readonly cache: Cache;
  readonly schedules: Schedules;
  readonly triggers: Triggers;
  /** Sends what is under way, then closes the connection. */
  close(): Promise<void>;
}

/**
 * Connects to a fleet and makes its streams and buckets where they are missing.
 * @throws NavvyError nats_unreachable, jetstream_unavailable, permission_denied, unsupported_server
 */
export async function connect(options: NavvyOptions = {}): Promise<Navvy> {
  const bus = await openBus(options);
  try {
    await setUp(bus, { ...options, replicas: replicasOf(options) });
  } catch (error) {
    await bus.close();
    throw error;
  }
  return verbs(bus, options);
}

function replicasOf({ replicas, env = process.env }: NavvyOptions): number | undefined {
  const given = replicas ?? (env.NAVVY_REPLICAS ? Number(env.NAVVY_REPLICAS) : undefined);
  if (given === undefined || [1, 3, 5].includes(given)) return given;
  throw new NavvyError("invalid_argument", `there can not be ${env.NAVVY_REPLICAS ?? given} copies of everything`, {
    fix: "--replicas 1, 3 or 5 (NAVVY_REPLICAS): as many servers must be in the cluster",
  });
}

/** Events are an echo: with the server away, leaving does not wait for them longer than this. */
const FLUSH_MS = 5_000;

function verbs(bus: Awaited<ReturnType<typeof openBus>>, { hashesBeside = true }: NavvyOptions): Navvy {
  const events = new Events(bus);
  const queues = new Queues(bus, events);
  const objects = new Objects(bus, { hashesBeside });
  const journals = new Journals(bus, objects);
  const tasks = new Tasks(bus, { queues, events, journals });
  const artifacts = new Artifacts(objects);
  const fleet = new Fleet(bus);
  const close = async () => {
    await Promise.race([events.flush(), new Promise((resolve) => setTimeout(resolve, FLUSH_MS).unref())]);
    await bus.close();
  };
  return {
    bus,
    tasks,
    queues,
    objects,
    events,
    logs: new Logs(bus, tasks, objects),
    metrics: new Metrics(bus),
    artifacts,
    fleet,
    storage: new Storage({ bus, tasks, objects, artifacts, events }),
    secrets: new Secrets(bus, fleet),
    journals,
    cache: new Cache(bus, tasks.bucket),
    schedules: new Schedules(bus, { tasks, queues, events }),
    triggers: new Triggers(bus, { tasks, queues, artifacts, events }),
    close,
    [Symbol.asyncDispose]: close,
  };
}
