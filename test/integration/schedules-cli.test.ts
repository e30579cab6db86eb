import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { client } from "../support/agent.js";
import { startNats } from "../support/nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

test("the command line makes, lists, runs, pauses and removes schedules", { timeout: 120_000 }, async () => {
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
  expect((await navvy("pause", "nightly", "--reason", "holidays", "-o", "json")).stdout).toContain("paused; what runs goes on");
  expect((await navvy("show", "nightly")).stdout).toMatch(/paused +\d+s ago by .*: holidays/);
  expect((await navvy("rm", "nightly")).stdout).toContain("nightly  removed");
});

test("the command line makes, lists, tries and removes triggers", { timeout: 120_000 }, async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await c.navvy.tasks.create({ name: "evaluate", spec: { command: ["true"] } });
  const task = await c.navvy.tasks.create({ name: "train", project: "iris", spec: { command: ["true"] } });
  const navvy = (...args: string[]) =>
    execa(process.execPath, [MAIN, ...args], { env: { NAVVY_SERVER: nats.url, NO_COLOR: "1" }, reject: false });
  const flags = ["--on-tag", "prod", "--from-project", "iris", "-p", "General/of=${trigger.task.id}", "-q", "gpu"];
  const made = await navvy("trigger", "create", "ship", "evaluate", ...flags);
  expect(made).toMatchObject({ exitCode: 0, stdout: "ship  created: tag prod" });
  expect(made.stderr).toContain("no agent that is up serves queue gpu");
  const not = await navvy("trigger", "test", "ship", "train");
  expect(not).toMatchObject({ exitCode: 1, stdout: `ship does not fire on train (${task.id.slice(-6)}): it has no tag prod` });
  await c.navvy.tasks.tag(task.id, { add: ["prod"] });
  const tried = await navvy("trigger", "test", "ship", "train", "-o", "json");
  expect(tried.exitCode).toBe(0);
  expect(JSON.parse(tried.stdout)).toMatchObject({ schema: "navvy.trigger-test/1", task: task.id, wouldFire: true, reason: "once" });
  expect((await navvy("trigger", "ls")).stdout).toMatch(/ship +● active +tag prod +project iris +evaluate +gpu +0 +—/);
  const refused = await navvy("trigger", "create", "x", "evaluate", "--on-status", "complete");
  expect(refused).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("did you mean completed") });
  expect((await navvy("trigger", "rm", "ship")).stdout).toBe("ship  removed; its tasks stay");
});
