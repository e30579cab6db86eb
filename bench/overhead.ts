/**
 * What an agent costs beside the least that could be done: 2,000 tasks of /bin/true through two slots per core, against
 * the bare loop, in turn, in one run. Aim: at least 0.7 of it.
 *
 *   npx tsx bench/overhead.ts [--tasks N] [--rounds N]
 */
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import type { Navvy } from "../broker/index.js";
import { decode, FleetEvent } from "../protocol/index.js";
import { bareLoop } from "./bare-loop.js";
import { eachOf, median, report, startFleet } from "./fleet.js";

const { values } = parseArgs({
  options: { tasks: { type: "string", default: "2000" }, rounds: { type: "string", default: "5" }, prof: { type: "string" } },
});
const tasks = Number(values.tasks);
const slots = cpus().length * 2;

await using fleet = await startFleet({ slots, nodeOptions: values.prof ? ["--cpu-prof", `--cpu-prof-dir=${values.prof}`] : [] });
const rows = [];
for (let round = 1; round <= Number(values.rounds); round++) {
  const bare = await bareLoop(fleet.navvy, { tasks, slots });
  const navvy = await throughAgent(fleet.navvy);
  rows.push({ round, "bare loop tasks/s": Math.round(bare), "navvy tasks/s": Math.round(navvy), ratio: Number((navvy / bare).toFixed(2)) });
}
await report("overhead", rows, { tasks, slots, server: fleet.serverVersion, medianRatio: median(rows.map((row) => row.ratio)) });

/** From the first create to the last completed, as the events tell it. */
async function throughAgent(navvy: Navvy): Promise<number> {
  const { nc, subjects } = navvy.bus;
  let left = tasks;
  const allDone = new Promise<void>((resolve) => {
    const subscription = nc.subscribe(subjects.event("task", "*"), {
      callback: (_error, message) => {
        if (decode(FleetEvent, message.data, message.subject).event !== "completed" || --left > 0) return;
        subscription.unsubscribe();
        resolve();
      },
    });
  });
  const started = performance.now();
  await eachOf(tasks, 16, async () => {
    const task = await navvy.tasks.create({ name: "true", spec: { command: ["/bin/true"] } });
    await navvy.tasks.enqueue(task.id, { queue: "default" });
  });
  await allDone;
  return tasks / ((performance.now() - started) / 1000);
}
