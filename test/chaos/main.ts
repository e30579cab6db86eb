/**
 * Breaks a real fleet at random, from a seed, and has an independent checker judge what is left.
 *
 *   npm run test:chaos -- --seed N --minutes M [--agents N] [--lease SECONDS] [--tasks PER_SECOND] [--faults PER_MINUTE]
 *
 * The same seed gives the same wishes: which tasks, which faults, when. What a real machine does with them differs a little each
 * time. Ends with 1 when anything was violated; then the histories are printed and the agents' logs are kept.
 */
import { parseArgs } from "node:util";
import { chaos } from "./chaos.js";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Date.now() % 1_000_000) },
    minutes: { type: "string", default: "2" },
    agents: { type: "string", default: "3" },
    lease: { type: "string", default: "3" },
    tasks: { type: "string", default: "1" },
    faults: { type: "string", default: "15" },
  },
});

/** @throws Error, naming the flag */
function positive(name: keyof typeof values): number {
  const number = Number(values[name]);
  if (!(number > 0)) throw new Error(`--${name} is ${JSON.stringify(values[name])}; it must be a number above 0`);
  return number;
}

const startedMs = performance.now();
const say = (line: string) => console.log(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(7)} s  ${line}`);
const interrupted = new AbortController();
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => interrupted.abort());
const options = {
  seed: positive("seed"),
  minutes: positive("minutes"),
  agents: positive("agents"),
  leaseMs: positive("lease") * 1000,
  tasksPerSecond: positive("tasks"),
  faultsPerMinute: positive("faults"),
};
say(`seed ${options.seed}`);
const { summary, tables, histories, folder } = await chaos(options, { say, signal: interrupted.signal });
if (histories) console.log(`\n${histories}`);
console.log(`\n${tables}`);
if (summary.violations.length > 0) {
  console.log(`agents' logs and marks: ${folder}`);
  const flags = Object.entries({ ...values, seed: String(options.seed) }).map(([name, value]) => `--${name} ${value}`);
  console.log(`again: npm run test:chaos -- ${flags.join(" ")}`);
  process.exitCode = 1;
}
