import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { Task } from "../../controller/index.js";
import { controllerFleet } from "../support/controller-fleet.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const EXAMPLE = join(ROOT, "examples", "sweep");

test("the example of a sweep finds a low point, from a program and from its file", { timeout: 120_000 }, async () => {
  await using it = await controllerFleet({ slots: 2 });
  const env = { NAVVY_SERVER: it.nats.url, NO_COLOR: "1" };
  const run = (file: string, args: string[]) =>
    execa(file, args, { env, reject: false, preferLocal: true, localDir: ROOT, timeout: 60_000 });

  const program = await run("tsx", [join(EXAMPLE, "main.ts")]);
  expect([program.exitCode, program.stderr]).toEqual([0, ""]);
  const loss = Number(/^best: trial \d+, loss ([\d.]+) \(all trials have ended\)$/m.exec(program.stdout)?.[1]);
  expect(loss).toBeLessThan(0.5);
  const me = await Task.get("examples/bumpy search from code");
  expect([me.status, me.outputs["best.value"]]).toEqual(["completed", expect.closeTo(loss, 3)]);

  const file = await run(process.execPath, [join(ROOT, "dist/cli/main.js"), "sweep", "run", join(EXAMPLE, "sweep.yaml"), "--wait"]);
  expect([file.exitCode, file.stderr]).toEqual([0, expect.stringContaining("the template has no General/rate")]);
  const there = await Task.get(file.stdout.trim());
  expect(there.outputs["best.value"]).toBeLessThan(0.5);
});
