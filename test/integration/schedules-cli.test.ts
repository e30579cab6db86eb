import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { client } from "../support/agent.js";
import { startNats } from "../support/nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

test("the command line makes, lists, runs, pauses and removes schedules", { timeout: 60_000 }, async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await c.navvy.tasks.create({ name: "train", spec: { command: ["true"] } });
  const navvy = (...args: string[]) =>
    execa(process.execPath, [MAIN, "schedule", ...args], { env: { NAVVY_SERVER: nats.url, NO_COLOR: "1" }, reject: false });
  const made = await navvy("create", "nightly", "train", "--cron", "30 2 * * *", "--tz", "Europe/Berlin", "-p", "General/n=3", "-q", "gpu");
  expect(made).toMatchObject({
    exitCode: 0,
    stdout: expect.stringMatching(/^nightly {2}created: 30 2 \* \* \* \(Europe\/Berlin\); next 20/),
  });
  expect(made.stderr).toContain("no agent that is up serves queue gpu");
  expect((await navvy("run", "nightly")).stdout).toMatch(/train #1 {2}queued on gpu/);
  expect((await navvy("run", "nightly")).stderr).toContain("does not run now: run 1 has not ended");
  expect((await navvy("ls")).stdout).toMatch(
    /nightly +● active +30 2 \* \* \* \(Europe\/Berlin\) +train +gpu +20\S+ \(in .*\) +#1 \w{6} ◌ queued +1/,
  );
  expect((await navvy("pause", "nightly", "--reason", "holidays")).stdout).toBe("nightly  paused; what runs goes on");
  expect((await navvy("show", "nightly")).stdout).toMatch(/paused +\d+s ago by .*: holidays/);
  expect((await navvy("resume", "nightly")).exitCode).toBe(0);
  expect(JSON.parse((await navvy("ls", "-o", "json")).stdout)).toMatchObject({
    schema: "navvy.schedules/1",
    items: [{ status: "active", schedule: { name: "nightly", launch: { parameters: { "General/n": 3 } } }, state: { runs: 1 } }],
  });
  const refused = await navvy("create", "x", "train", "--cron", "0 0 31 2 *");
  expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("is never due") });
  expect((await navvy("rm", "nightly")).stdout).toContain("nightly  removed");
  expect((await navvy("ls")).stderr).toContain("no schedules");
});
