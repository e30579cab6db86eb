/**
 * The same search as sweep.yaml, from a program: it makes the template, looks for the lowest loss, and prints the best trials.
 *
 *   npx tsx examples/sweep/main.ts            runs here and drives the fleet
 *   npx tsx examples/sweep/main.ts --remote   sends it to the services queue, where it needs no program
 *
 * Needs a fleet (`navvy dev`) and `NAVVY_SERVER` when that is elsewhere.
 */
import { ranked, Sweep, Task } from "navvy/controller";

async function main(): Promise<void> {
  const template =
    (await Task.find({ project: "examples", name: "bumpy" })) ??
    (await Task.create({ project: "examples", name: "bumpy", command: ["node", "train.mjs"], code: import.meta.dirname }));
  const sweep = new Sweep({
    name: "bumpy search from code",
    template: template.id,
    objective: { metric: "loss", goal: "min" },
    parameters: {
      "General/rate": { min: 1e-4, max: 0.5, log: true },
      "General/momentum": [0, 0.5, 0.9],
      "General/begin": { min: -4, max: 4, step: 0.5 },
    },
    budget: { trials: 16, timeMs: 600_000 },
    parallel: 2,
    earlyStop: { minSteps: 9 },
  });
  if (process.argv.includes("--remote")) {
    const task = await sweep.start();
    return console.log(`task ${task.id} on queue services: navvy sweep show ${task.id.slice(-6)}`);
  }
  const { best, trials, reason } = await sweep.run();
  for (const { number, state, value, parameters } of ranked(trials, sweep.config.objective).slice(0, 5))
    console.log(`trial ${number}  ${state}  ${value?.toFixed(4)}  ${JSON.stringify(parameters)}`);
  console.log(best ? `best: trial ${best.number}, loss ${best.value?.toFixed(4)} (${reason})` : `nothing was found: ${reason}`);
}

void main();
