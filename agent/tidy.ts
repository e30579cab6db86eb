import { readdir, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import type { AgentInnards } from "./innards.js";
import { tidyMemory } from "./secrets/memory.js";
import { setupKeyOf } from "./setup/programs.js";

const SOCKET = /^spawner-.*\.sock$/;

/**
 * Removes from the agent's folder what an earlier run left there and nobody needs: attempts that the journal does not know (it
 * was killed while one was being prepared or removed), environments that are not whole, sockets of spawners that are gone. To be
 * called before anything is claimed.
 * Where the journal was forgotten just now, what it named may still run: that is for the next start.
 */
export async function tidyFolder({ config, journal, spawner, environments }: AgentInnards): Promise<void> {
  if (config.forget) return;
  const attempts = join(config.folder, "attempts");
  const known = new Set([...journal.live.values()].map((start) => basename(start.dir)));
  const stale = (await readdir(attempts)).filter((name) => !known.has(name)).map((name) => join(attempts, name));
  const keys = stale.map((path) => basename(path));
  await Promise.all([...keys, ...keys.map(setupKeyOf)].map((key) => spawner.kill(key)));
  await Promise.all([environments.tidy(), tidyMemory(config, known)]);
  const sockets = (await readdir(config.folder))
    .filter((name) => SOCKET.test(name) && name !== basename(spawner.socketPath))
    .map((name) => join(config.folder, name));
  for (const path of [...stale, ...sockets]) {
    await rm(path, { recursive: true, force: true }).catch((error: unknown) =>
      config.log.warn({ err: error, path }, "what an earlier run left could not be removed"),
    );
  }
}
