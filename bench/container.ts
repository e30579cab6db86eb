/**
 * Tasks of `/bin/true` in containers through an agent, beside `docker run --rm` of the same image in a shell's loop. Aim: the agent
 * at least 0.8 of the loop's rate.
 *
 *   npx tsx bench/container.ts [--tasks N] [--slots N]
 *
 * It starts an engine of its own, as the tests do: root, and the packages that its error names, are needed.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import type { Container } from "../protocol/index.js";
import { BASE_IMAGE, startDocker } from "../test/support/docker.js";
import { report, startFleet } from "./fleet.js";

const { values } = parseArgs({ options: { tasks: { type: "string", default: "50" }, slots: { type: "string", default: "2" } } });
const [tasks, slots] = [Number(values.tasks), Number(values.slots)];
await using docker = await startDocker();
Object.assign(process.env, docker.env);

// The same work before, between and after: a machine that is busier at one time than at another is seen in it.
const first = await loop(tasks);
const one = await throughAgent(1);
const second = await loop(tasks);
const many = await throughAgent(slots);
const third = await loop(tasks);
const bare = [first, second, third].toSorted((a, b) => a - b)[1] ?? second;
const row = (what: string, seconds: number) => ({
  what,
  "tasks/s": Number((tasks / seconds).toFixed(2)),
  ratio: Number((bare / seconds).toFixed(2)),
});
await report("container", [row("docker run --rm in a loop", bare), row("agent, 1 slot", one), row(`agent, ${slots} slots`, many)], {
  tasks,
  loops: [first, second, third].map((seconds) => Number((tasks / seconds).toFixed(2))),
});

/** Seconds. */
async function loop(count: number): Promise<number> {
  const started = performance.now();
  const script = `i=0; while [ $i -lt ${count} ]; do docker run --rm ${BASE_IMAGE} /bin/true || exit 1; i=$((i+1)); done`;
  const [code] = (await once(spawn("sh", ["-c", script], { stdio: ["ignore", "ignore", "inherit"] }), "exit")) as [number];
  if (code !== 0) throw new Error(`docker run ended with ${code}`);
  return (performance.now() - started) / 1000;
}

async function throughAgent(slotCount: number): Promise<number> {
  await using fleet = await startFleet({ slots: slotCount });
  const { navvy } = fleet;
  const container = { image: BASE_IMAGE } as Container;
  const ids: string[] = [];
  for (let i = 0; i < tasks; i++)
    ids.push((await navvy.tasks.create({ name: `true ${i}`, spec: { command: ["/bin/true"], container } })).id);
  const started = performance.now();
  await Promise.all(ids.map((id) => navvy.tasks.enqueue(id, { queue: "default" })));
  const ended = await Promise.all(ids.map((id) => navvy.tasks.wait(id, { timeoutMs: 600_000 })));
  const seconds = (performance.now() - started) / 1000;
  const wrong = ended.find(({ status }) => status !== "completed");
  if (wrong) throw new Error(`task ${wrong.id} is ${wrong.status}: ${wrong.outcome?.reason}`);
  return seconds;
}
