import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { expect, test } from "vitest";
import { eventually } from "./eventually.js";
import { leaksOf } from "./global-leaks.js";

test.runIf(process.platform === "linux")("a process that carries a run's mark is found until it ends, even detached", async () => {
  const run = randomUUID();
  const env = { ...process.env, NAVVY_TEST_RUN: run };
  const child = spawn("sleep", ["60"], { detached: true, stdio: "ignore", env });
  const ended = once(child, "exit");
  try {
    // Between fork and exec it still shows our own command line.
    const leak = await eventually("it is found", () => leaksOf(run).find((found) => found.command === "sleep 60"));
    expect(leak).toEqual({ pid: child.pid, command: "sleep 60", file: "test/support/global-leaks.test.ts" });
    expect(leaksOf(randomUUID())).toEqual([]);
  } finally {
    child.kill("SIGKILL");
  }
  await ended;
  expect(leaksOf(run)).toEqual([]);
});
