import { rm } from "node:fs/promises";
import { hostname } from "node:os";
import { isAlive, Leadership, type Navvy, sessionsBucket, snapshot } from "../broker/index.js";
import type { AgentConfig } from "./config.js";
import type { Journal } from "./host/journal.js";
import type { SpawnerClient } from "./host/spawner-client.js";

/**
 * Cleans up after an earlier run of this agent that did not end in good order: processes first, then folders, then its
 * session, so that its tasks go back to their queues now and not only after the lease. The order matters: a session is
 * given up only when nothing of it lives.
 */
export async function clearLeftovers(parts: {
  navvy: Navvy;
  journal: Journal;
  spawner: SpawnerClient;
  config: AgentConfig;
}): Promise<void> {
  const { journal, spawner, config } = parts;
  for (const [key, start] of journal.live) {
    config.log.warn({ key, task: start.task }, "left over by an earlier run: killed and cleaned up");
    await spawner.kill(key);
    await rm(start.dir, { recursive: true, force: true });
    await journal.append({ op: "end", key, at: new Date().toISOString() });
  }
  await releaseDeadSessions(parts.navvy, config);
}

async function releaseDeadSessions(navvy: Navvy, config: AgentConfig): Promise<void> {
  const bucket = sessionsBucket(navvy.bus);
  for (const { key, value, revision } of await snapshot(navvy.bus, bucket, { keys: `${config.name}.*` })) {
    if (value.host !== hostname() || isAlive(value.pid)) continue;
    config.log.warn({ session: value.session }, "an earlier run's session was still there: given up");
    await bucket.delete(key, revision);
    await new Leadership(navvy.bus, config.leaseMs).vacate(value.session);
  }
}
