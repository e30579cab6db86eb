import { hostname } from "node:os";
import { isAlive, type Navvy, sessionsBucket, snapshot } from "../broker/index.js";
import { NavvyError, type SessionRecord } from "../protocol/index.js";
import type { AgentConfig } from "./config.js";
import { patiently } from "./patiently.js";

/** As long as the reaper waits before it takes a session for dead. */
const DEAD_AFTER_LEASES = 1.2;
const LOOK_EVERY_MS = 250;
const PING_MS = 500;

/**
 * Two agents of one name would answer each other's requests: the second one refuses. The first shows by its answer or, when
 * it does not answer, by a session that is renewed. One that stands still for as long as the reaper waits is revoked, so that
 * its agent, should it wake up, finds that it has been replaced.
 *
 * @param own the session of an earlier run in this folder, which is locked: certainly dead
 * @throws NavvyError conflict
 */
export async function refuseTwin(navvy: Navvy, config: AgentConfig, own: string | undefined): Promise<void> {
  const reply = await navvy.fleet.ask(config.name, "ping", { timeoutMs: PING_MS });
  if (reply) throw twin(config.name, { host: String(reply.data?.host), pid: Number(reply.data?.pid) });
  const first = await othersOf(navvy, config.name, own);
  if (first.size === 0) return;
  config.log.warn(
    { sessions: [...first.keys()] },
    "a session of this name is there and its agent is silent: waiting until it moves or ends",
  );
  const until = performance.now() + config.leaseMs * DEAD_AFTER_LEASES;
  while (performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    const now = await othersOf(navvy, config.name, own);
    for (const [key, { revision, value }] of now) if (first.get(key)?.revision !== revision) throw twin(config.name, value);
    if (now.size === 0) return;
  }
  for (const [key, { revision, value }] of first) {
    if (!(await sessionsBucket(navvy.bus).delete(key, revision))) throw twin(config.name, value);
    config.log.warn({ session: value.session, host: value.host, pid: value.pid }, "the silent session of this name was revoked");
  }
}

/**
 * For an agent that was revoked and begins anew: whether another one has taken its name meanwhile.
 * @throws NavvyError conflict
 */
export async function refuseSuccessor(navvy: Navvy, config: AgentConfig, own: string): Promise<void> {
  const others = await patiently(() => othersOf(navvy, config.name, own));
  for (const { value } of others?.values() ?? []) throw twin(config.name, value);
}

/** Sessions of this name that may be held by someone who lives. */
async function othersOf(navvy: Navvy, name: string, own: string | undefined) {
  const entries = await snapshot(navvy.bus, sessionsBucket(navvy.bus), { keys: `${name}.*` });
  const isDead = (value: SessionRecord) => value.session === own || (value.host === hostname() && !isAlive(value.pid));
  return new Map(entries.filter(({ value }) => !isDead(value)).map((entry) => [entry.key, entry]));
}

function twin(name: string, { host, pid }: { host: string; pid: number }): NavvyError {
  return new NavvyError("conflict", `an agent named ${JSON.stringify(name)} is up already, on host ${host} as process ${pid}`, {
    fix: [`give this one another name: --name ${name}-2`, `or end that one: navvy agent stop ${name}`],
    detail: { host, pid, here: hostname() },
  });
}
