import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import type { Navvy } from "../../broker/index.js";
import { connectionOptions } from "../connection.js";

const SLOTS = 4;

/** A queue of this process's own. */
export const localQueue = () => `local-${process.pid}-${Date.now().toString(36)}`;

/** An agent in this process that serves one queue, for steps that are to run on this machine. It leaves nothing behind. */
export async function startLocalAgent(navvy: Navvy, queue: string): Promise<AsyncDisposable> {
  // Loaded only here: controllers that run on the fleet need none of it.
  const { startAgent } = await import("../../agent/index.js");
  const workDir = await mkdtemp(join(tmpdir(), "navvy-local-"));
  const agent = await startAgent({
    connection: { ...connectionOptions(), actor: navvy.bus.actor },
    name: queue,
    queues: [queue],
    slots: SLOTS,
    serviceSlots: 0,
    workDir,
    log: pino({ level: "silent" }),
  });
  return {
    async [Symbol.asyncDispose]() {
      await agent.stop({ now: true });
      await agent.done;
      await navvy.queues.remove(queue).catch(() => undefined); // it was never used
      await rm(workDir, { recursive: true, force: true });
    },
  };
}
