/**
 * How long a line takes from a task to `navvy logs -f`: a task prints the time at odd moments, the command's output is looked at as it
 * comes. Aim: p99 below 500 ms.
 *
 *   npx tsx bench/log-latency.ts [--lines N]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { quantile, report, startFleet } from "./fleet.js";

const { values } = parseArgs({ options: { lines: { type: "string", default: "300" } } });
const lines = Number(values.lines);
/** Odd moments: neither always while the agent looks often, nor always when it has come to look seldom. */
const script = `let n = 0;
const next = () => { console.log(Date.now()); if (++n < ${lines}) setTimeout(next, Math.random() ** 2 * 500); };
next();`;
await using fleet = await startFleet({ slots: 1 });
const task = await fleet.navvy.tasks.create({ name: "clock", spec: { command: [process.execPath, "-e", script] } });
const navvy = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const follower = spawn(process.execPath, [navvy, "logs", "-f", task.id], {
  env: { ...process.env, NAVVY_SERVER: fleet.url },
  stdio: ["ignore", "pipe", "inherit"],
});
const delays: number[] = [];
let open = "";
follower.stdout.on("data", (chunk: Buffer) => {
  const now = Date.now();
  const [last = "", ...whole] = (open + chunk.toString()).split("\n").reverse();
  open = last;
  for (const line of whole) delays.push(now - Number(line));
});
await fleet.navvy.tasks.enqueue(task.id, { queue: "default" });
await once(follower, "close");
if (delays.length !== lines) throw new Error(`the follower got ${delays.length} lines`);
const row = { lines, "p50 ms": quantile(delays, 0.5), "p99 ms": quantile(delays, 0.99), "longest ms": Math.max(...delays) };
await report("log-latency", [row], { server: fleet.serverVersion });
