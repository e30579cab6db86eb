import { setTimeout as delay } from "node:timers/promises";
import { birthOf } from "./birth.js";
import { storeUser } from "./store-lock.js";

/** A server that runs on a store, whoever started it. */
export interface RunningServer {
  pid: number;
  url: string;
  version: string;
}

/** The server that runs on a store now, such as one started `detached` by an earlier command. Undefined when none does. */
export async function runningServer(storeDir: string): Promise<RunningServer | undefined> {
  const { pid, url, version } = (await storeUser(storeDir)) ?? {};
  // Without an address it is still starting, or the one who starts it died.
  return pid === undefined || url === undefined || version === undefined ? undefined : { pid, url, version };
}

/**
 * Ends the server that runs on a store: SIGTERM, a grace (default 5,000 ms), SIGKILL. True when there was one.
 * The store keeps its content.
 */
export async function stopServer(storeDir: string, graceMs = 5_000): Promise<boolean> {
  const server = await storeUser(storeDir);
  if (server === undefined) return false;
  process.kill(server.pid, "SIGTERM");
  const deadline = performance.now() + graceMs;
  while ((await birthOf(server.pid)) === server.birth) {
    if (performance.now() > deadline) process.kill(server.pid, "SIGKILL");
    await delay(20);
  }
  return true;
}
