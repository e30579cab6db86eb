/**
 * What an agent takes while it has nothing to do, and whether its memory stays flat over many tasks: resident memory (RSS) of
 * the agent and of its spawner, both together with the files that they map counted once (the program text of Node is the same for
 * both), and their processor time; then 10,000 tasks of /bin/true with a look after each thousand. Aim: at most 120 MB idle, at most 1 % of a core, and a ratio near 1.
 *
 *   npx tsx bench/soak.ts [--tasks N] [--idle SECONDS]
 */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { Navvy } from "../broker/index.js";
import { decode, FleetEvent } from "../protocol/index.js";
import { eachOf, processorSeconds, report, residentBytes, startFleet } from "./fleet.js";

const { values } = parseArgs({ options: { tasks: { type: "string", default: "10000" }, idle: { type: "string", default: "30" } } });
const BATCH = 1_000;
const MIB = 2 ** 20;
/** Collections come and go with what was just done: a look waits until that is over. */
const QUIET_MS = 3_000;

await using fleet = await startFleet({ slots: 4 });
const agent = fleet.agent.pid ?? -1;
await delay(QUIET_MS);
const idle = await whileIdle(Number(values.idle));
const rows = [{ tasks: 0, ...(await memory()) }];
for (let done = 0; done < Number(values.tasks); done += BATCH) {
  const started = performance.now();
  await runBatch(fleet.navvy, Math.min(BATCH, Number(values.tasks) - done));
  const seconds = (performance.now() - started) / 1000;
  await delay(QUIET_MS);
  rows.push({ tasks: done + BATCH, ...(await memory()) });
  console.log(`${done + BATCH} tasks, the last ${BATCH} in ${seconds.toFixed(1)} s`);
}
console.log(idle);
await report("soak", rows, { server: fleet.serverVersion, idle, ratioLastToFirstThousand: ratio() });
console.log(`memory after the last task against after the first ${BATCH}: ${ratio()}`);

/** The agent, its spawner, and whatever else it keeps running. */
function family(): { pid: number; name: "agent" | "spawner" }[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc").filter((each) => /^\d+$/.test(each))) {
    const status = read(`/proc/${name}/status`);
    parents.set(Number(name), Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0));
  }
  const isOurs = (pid: number): boolean => pid === agent || (parents.has(pid) && isOurs(parents.get(pid) ?? 0));
  return [...parents.keys()].filter(isOurs).map((pid) => ({ pid, name: pid === agent ? "agent" : "spawner" }));
}

function fieldBytes(pid: number, field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, "m").exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
}

async function memory() {
  const mib = (bytes: number) => Number((bytes / MIB).toFixed(1));
  const rss = { agent: 0, spawner: 0 };
  const [own, files]: [number[], number[]] = [[], []];
  for (const { pid, name } of family()) {
    rss[name] += await residentBytes(pid);
    own.push(fieldBytes(pid, "RssAnon") + fieldBytes(pid, "RssShmem"));
    files.push(fieldBytes(pid, "RssFile"));
  }
  const together = own.reduce((sum, bytes) => sum + bytes, 0) + Math.max(0, ...files);
  return { "agent MiB": mib(rss.agent), "spawner MiB": mib(rss.spawner), "together MiB": mib(together) };
}

/** Processor time of all of it over that many seconds, and the memory at their end. */
async function whileIdle(seconds: number) {
  const used = async () => {
    const each = await Promise.all(family().map(async ({ pid, name }) => ({ name, seconds: await processorSeconds(pid) })));
    return (name: string) => each.filter((one) => one.name === name).reduce((sum, one) => sum + one.seconds, 0);
  };
  const before = await used();
  await delay(seconds * 1000);
  const after = await used();
  const percent = (name: string) => Number((((after(name) - before(name)) / seconds) * 100).toFixed(2));
  return { seconds, "agent % of a core": percent("agent"), "spawner % of a core": percent("spawner"), ...(await memory()) };
}

async function runBatch({ tasks, bus }: Navvy, count: number): Promise<void> {
  let left = count;
  const allDone = new Promise<void>((resolve) => {
    const subscription = bus.nc.subscribe(bus.subjects.event("task", "*"), {
      callback: (_error, message) => {
        if (decode(FleetEvent, message.data, message.subject).event !== "completed" || --left > 0) return;
        subscription.unsubscribe();
        resolve();
      },
    });
  });
  await eachOf(count, 8, async () => {
    const task = await tasks.create({ name: "true", spec: { command: ["/bin/true"] } });
    await tasks.enqueue(task.id, { queue: "default" });
  });
  await allDone;
}

/** A process that ended in between takes nothing. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function ratio(): number {
  return Number(((rows.at(-1)?.["together MiB"] ?? 0) / (rows[1]?.["together MiB"] ?? 1)).toFixed(3));
}
