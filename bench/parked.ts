/**
 * What parked controllers cost, and how fast they are woken: N of them on one agent with four service slots, each waiting for a task of
 * its own and for one of all. Memory of agent and server before and after; from the end of the awaited task to the first instruction
 * of the woken program, against from enqueue to that of the same program; and all woken at once, against as many enqueued.
 *
 *   npx tsx bench/parked.ts [--controllers N] [--samples N]
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { decode, FleetEvent } from "../protocol/index.js";
import { eachOf, processorSeconds, quantile, report, residentBytes, startFleet } from "./fleet.js";

const { values } = parseArgs({
  options: { controllers: { type: "string", default: "2000" }, samples: { type: "string", default: "40" } },
});
const controllers = Number(values.controllers);
const count = Math.min(Number(values.samples), controllers);
const MIB = 2 ** 20;
/** What was just done is collected in a while. */
const QUIET_MS = 5_000;
const IDLE_S = 15;
/** One that was woken is done; it says when it began. */
const DONE = 'echo "at=$(date +%s.%N)" >> "$NAVVY_OUTPUT"; [ "$NAVVY_ATTEMPT" = 1 ] || exit 0; ';

await using fleet = await startFleet({ slots: 2 });
const { navvy, agent } = fleet;
const { tasks } = navvy;
await navvy.queues.create("nobody");
const create = async (name: string, script: string, queue: string) =>
  (await tasks.submit({ name, spec: { command: ["sh", "-c", script] } }, { queue })).id;

const plain: number[] = [];
for (let i = 0; i < count; i++) plain.push(await since(Date.now(), await create("plain", `${DONE} exit 0`, "services")));
const common = await create("gate of all", "true", "nobody");
const gates: string[] = [];
await eachOf(controllers, 8, async (i) => void (gates[i] = await create("gate", "true", "nobody")));
await delay(QUIET_MS);
const before = await look();
const parkedIds: string[] = [];
const parking = until("parked", controllers);
const parkedFrom = performance.now();
await eachOf(controllers, 8, async (i) => {
  const line = JSON.stringify({ t: "park", on: [gates[i], common] });
  parkedIds[i] = await create("parked", `${DONE} echo '${line}' >> "$NAVVY_EVENTS"`, "services");
});
await parking;
const parkedS = (performance.now() - parkedFrom) / 1000;
await delay(QUIET_MS);
const after = await look();

const woken: number[] = [];
for (let i = 0; i < count; i++) {
  const endedAt = Date.now();
  await tasks.abort(gates[i] ?? "");
  woken.push(await since(endedAt, parkedIds[i] ?? ""));
}
const left = controllers - count;
const wakingFrom = performance.now();
const waking = until("completed", left);
await tasks.abort(common);
await waking;
const wokenS = (performance.now() - wakingFrom) / 1000;
const enqueuedFrom = performance.now();
const running = until("completed", left);
await eachOf(left, 8, async () => void (await create("plain", `${DONE} exit 0`, "services")));
await running;
const enqueuedS = (performance.now() - enqueuedFrom) / 1000;

const mib = (bytes: number) => Number((bytes / MIB).toFixed(1));
const ratio = (a: number, b: number) => Number((a / b).toFixed(2));
const rows = [
  { what: "agent MiB, before and after", value: `${mib(before.agent)} → ${mib(after.agent)}` },
  { what: "server MiB, before and after", value: `${mib(before.server)} → ${mib(after.server)}` },
  { what: "agent % of a core while they are parked, before and after", value: `${before.percent} → ${after.percent}` },
  { what: "to park all s", value: Number(parkedS.toFixed(1)) },
  { what: "wake against plain start, p50", value: ratio(quantile(woken, 0.5), quantile(plain, 0.5)) },
  { what: "wake against plain start, p90", value: ratio(quantile(woken, 0.9), quantile(plain, 0.9)) },
  { what: `${left} woken at once against enqueued`, value: ratio(wokenS, enqueuedS) },
];
await report("parked", rows, { controllers, plainMs: plain, wokenMs: woken, wokenS, enqueuedS, server: fleet.serverVersion });

/** Milliseconds from then to when the program began, in its last attempt. */
async function since(fromMs: number, id: string): Promise<number> {
  const done = await tasks.wait(id, { timeoutMs: 60_000 });
  return Number(done.reported.outputs.at) * 1000 - fromMs;
}

/** Resolves when that has happened so many times from now on. */
function until(event: string, times: number): Promise<void> {
  let still = times;
  if (still === 0) return Promise.resolve();
  return new Promise((resolve) => {
    const subscription = navvy.bus.nc.subscribe(navvy.bus.subjects.event("task", "*"), {
      callback: (_error, message) => {
        if (decode(FleetEvent, message.data, message.subject).event !== event || --still > 0) return;
        subscription.unsubscribe();
        resolve();
      },
    });
  });
}

async function look() {
  const pid = agent.pid ?? -1;
  const used = await processorSeconds(pid);
  await delay(IDLE_S * 1000);
  const percent = Number((((await processorSeconds(pid)) - used) / IDLE_S / 0.01).toFixed(1));
  return { agent: await residentBytes(pid), server: await residentBytes(fleet.serverPid), percent };
}
