import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { type Leak, leaksOf } from "./global-leaks.js";

/** What was told to end in a last hook may need a moment; what is here after that has been forgotten. */
const GRACE_MS = 3_000;

/** Before the first test: is there a build? After the last: is anything left running? A process left behind fails the run. */
export default function setup(): () => Promise<void> {
  if (!existsSync("dist/protocol/index.js")) throw new Error("there is no build to test\nfix: node scripts/setup.mjs");
  const run = process.env["NAVVY_TEST_RUN_ID"] ?? "";
  if (run === "") throw new Error("vitest.config.ts did not name this run");
  return async () => {
    const leaks = await leaksAfterGrace(run);
    for (const { pid } of leaks) end(pid);
    if (leaks.length === 0) return;
    // Vitest prints what a teardown throws and still ends with 0.
    process.exitCode = 1;
    throw new Error(`${leaks.length} left running by the tests (ended now)\n${leaks.map(line).join("\n")}`);
  };
}

async function leaksAfterGrace(run: string): Promise<Leak[]> {
  const deadline = performance.now() + GRACE_MS;
  let leaks = leaksOf(run);
  while (leaks.length > 0 && performance.now() < deadline) {
    await delay(50);
    leaks = leaksOf(run);
  }
  return leaks;
}

function line({ pid, command, file }: Leak): string {
  return `  process ${pid}: ${command} (started by ${file})`;
}

function end(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself between the look and the signal.
  }
}
