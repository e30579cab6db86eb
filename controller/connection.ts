import { connect, letExit, type Navvy, type NavvyOptions } from "../broker/index.js";
import { task } from "../task/index.js";
import { alive } from "./alive.js";

let current: Promise<Navvy> | undefined;
/** As the latest connection was asked for. */
let asked: NavvyOptions = {};

/** How this process connects, for an agent that it starts itself. */
export const connectionOptions = (): NavvyOptions => asked;

/** The process's connection, made on first use; inside navvy the agent's environment says where to. */
export function connection(): Promise<Navvy> {
  current ??= open(fromEnvironment()).catch((error: unknown) => {
    current = undefined;
    throw error;
  });
  return current;
}

/**
 * Connects this process elsewhere than its environment says, e.g. in a test. Closes the connection that there was.
 * @throws NavvyError nats_unreachable, jetstream_unavailable, permission_denied, unsupported_server
 */
export async function connectTo(options: NavvyOptions): Promise<Navvy> {
  await disconnect();
  current = open(options);
  return current;
}

/** Closes the process's connection, once what is under way has been sent. The next use makes a new one. */
export async function disconnect(): Promise<void> {
  const closing = current;
  current = undefined;
  await alive(async () => (await closing?.catch(() => undefined))?.close());
}

/** A controller may start before a restarted server is back; a person at a terminal wants to know at once. */
function fromEnvironment(): NavvyOptions {
  if (!task.isInside) return { clientName: "navvy controller" };
  return { clientName: `navvy controller ${task.id}`, actor: `task-${task.id?.slice(-8)}`, wait: true };
}

async function open(options: NavvyOptions): Promise<Navvy> {
  asked = options;
  const navvy = await alive(() => connect(options));
  letExit(navvy.bus);
  return navvy;
}
