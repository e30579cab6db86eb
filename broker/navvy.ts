import { Artifacts } from "./artifacts.js";
import type { Bus } from "./bus.js";
import { type ConnectOptions, openBus } from "./connect.js";
import { Events } from "./events.js";
import { Fleet } from "./fleet.js";
import { Logs } from "./logs.js";
import { Metrics } from "./metrics.js";
import { Objects } from "./objects.js";
import { Queues } from "./queues.js";
import { setUp } from "./setup.js";
import { Tasks } from "./tasks/index.js";

export interface NavvyOptions extends ConnectOptions {
  /** Copies of every stream, on a cluster. Default 1. */
  replicas?: number;
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
    await setUp(bus, options);
  } catch (error) {
    await bus.close();
    throw error;
  }
  return verbs(bus);
}

/** Events are an echo: with the server away, leaving does not wait for them longer than this. */
const FLUSH_MS = 5_000;

function verbs(bus: Awaited<ReturnType<typeof openBus>>): Navvy {
  const events = new Events(bus);
  const queues = new Queues(bus, events);
  const tasks = new Tasks(bus, queues, events);
  const objects = new Objects(bus);
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
    logs: new Logs(bus, tasks),
    metrics: new Metrics(bus),
    artifacts: new Artifacts(objects),
    fleet: new Fleet(bus),
    close,
    [Symbol.asyncDispose]: close,
  };
}
