import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import type { TaskRecord } from "../../protocol/index.js";
import { spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { sweepFleet as fleet, navvy, SWEEP, trialsOf, value } from "../support/sweep-fleet.js";

/** Room for a machine that has much else to do. */
const LONG = { timeout: 120_000 };

describe("a sweep on the services queue", () => {
  test("runs its trials, so many at once, finds the best, and shows it", LONG, async () => {
    await using it = await fleet();
    await using _agent = await spawnAgent(it.nats, { slots: 4 });
    await it.template(value(1));
    const ran = await navvy(it.nats, "sweep", "run", ...SWEEP, "-p", "General/x=0..1", "--trials", "12", "--parallel", "3", "--wait");
    expect([ran.exitCode, ran.stderr]).toEqual([0, expect.stringContaining("queued   sweep of search/template")]);
    const id = ran.stdout.trim();

    const trials = await trialsOf(it.c, id);
    expect(trials.map(({ status, project }) => [status, project])).toEqual(Array(12).fill(["completed", "search"]));
    expect(new Set(await it.started()).size).toBe(12);
    const values = trials.map(({ spec }) => spec.parameters["General"]?.["x"] as number);
    const best = trials[values.indexOf(Math.max(...values))];
    const sweep = await it.c.record(id);
    expect(sweep.reported.outputs).toEqual({
      "best.task": best?.id,
      "best.trial": values.indexOf(Math.max(...values)) + 1,
      "best.value": Math.max(...values),
      "best.parameters": { "General/x": Math.max(...values) },
    });
    expect(sweep.reported.metrics["best/acc"]).toMatchObject({ last: Math.max(...values), lastStep: 12 });
    expect(sweep.reported.metrics["acc"]).toMatchObject({ count: 12, max: Math.max(...values), min: Math.min(...values) });
    expect(sweep.reported.progress).toEqual({ n: 12, of: 12, unit: "trials" });
    const peak = trials.map((trial) => trials.filter((other) => isDuring(trial, other)).length);
    expect(Math.max(...peak)).toBeLessThanOrEqual(3);

    const shown = await navvy(it.nats, "sweep", "show", id);
    expect(shown.stdout).toMatch(new RegExp(`RANK .*\\n +1 +\\d+ +${best?.id.slice(-6)} +✔ completed`));
    expect(shown.stdout).toMatch(/all trials have ended \(12 completed\)/);
    expect((await navvy(it.nats, "sweep", "ls")).stdout).toMatch(/sweep of search\/template +✔ completed +tpe +12 completed/);
    const page = await it.c.navvy.objects.getBytes(sweep.reported.summary?.sha256 ?? "");
    expect(Buffer.from(page).toString()).toContain(`| 1 | ${values.indexOf(Math.max(...values)) + 1} |`);
  });

  test("ends trials early that do badly at a rung", LONG, async () => {
    await using it = await fleet();
    await using _agent = await spawnAgent(it.nats);
    // Low ones would never end by themselves.
    await it.template(`${value(1)} case $NAVVY_PARAM_X in 0.[0-4]*) sleep 1000;; esac; ${value(2)} ${value(3)}`);
    const words = ["-p", "General/x=0.9,0.5,0.1,0.2,0.95,0.3", "--method", "grid", "--parallel", "1", "--early-stop", "--wait"];
    const ran = await navvy(it.nats, "sweep", "run", ...SWEEP, ...words);
    expect([ran.exitCode, ran.stderr]).toEqual([0, expect.any(String)]);
    const document = JSON.parse((await navvy(it.nats, "sweep", "show", ran.stdout.trim(), "-o", "json")).stdout);
    expect(document.schema).toBe("navvy.sweep/1");
    const states = Object.fromEntries(document.trials.map((trial: { number: number; state: string }) => [trial.number, trial.state]));
    expect(states).toEqual({ 1: "completed", 2: "completed", 3: "stopped", 4: "stopped", 5: "completed", 6: "stopped" });
    expect([document.best.number, document.best.value]).toEqual([5, 0.95]);
    expect(document.trials.find((trial: { number: number }) => trial.number === 3).why).toBe(
      "at step 1 it was number 3 of 3, and the best 1 go on",
    );
  });

  test("is ended by a person with its trials, by its failures, and by its target", LONG, async () => {
    await using it = await fleet();
    await using _agent = await spawnAgent(it.nats, { slots: 4, services: 3 });
    await it.template(`if [ "$NAVVY_PARAM_X" = 0 ]; then exit 7; elif [ "$NAVVY_PARAM_X" = 1 ]; then exec sleep 1000; fi; ${value(1)}`);
    const run = async (...words: string[]) => {
      const { stdout, stderr } = await navvy(it.nats, "sweep", "run", ...SWEEP, "--method", "grid", ...words);
      expect(stdout, stderr).toMatch(/^\w{26}$/);
      return stdout.trim();
    };
    const endless = await run("-p", "General/x=1", "-p", "n=1,2,3", "--parallel", "2");
    const failing = await run("-p", "General/x=0", "-p", "n=1,2,3,4", "--failures", "2", "--parallel", "1");
    const reaching = await run("-p", "General/x=5,9,1", "--target", "8", "--parallel", "1");
    expect((await it.c.ended(failing)).outcome).toMatchObject({
      kind: "exited",
      code: 1,
      tail: expect.stringMatching(/2 trials failed; number 2 .*exited 7/),
    });
    expect(await trialsOf(it.c, failing)).toHaveLength(2);
    expect((await it.c.ended(reaching)).reported.notes.at(-1)?.text).toBe("over: the target of 8 was reached (2 completed)");
    await eventually(
      "two trials run",
      async () => (await trialsOf(it.c, endless)).filter(({ phase }) => phase === "executing").length === 2,
      { timeoutMs: 20_000 },
    );
    expect((await navvy(it.nats, "sweep", "abort", endless)).stdout).toContain("its trials end with it");
    expect(await it.c.ended(endless)).toMatchObject({ status: "aborted", childrenOnAbort: "abort" });
    for (const trial of await trialsOf(it.c, endless)) expect((await it.c.ended(trial.id)).status).toBe("aborted");
  });
});

test("what is wrong with a sweep is said before anything is started", async () => {
  await using it = await fleet();
  await it.template("true", 0);
  const words = ["sweep", "run", "--metric", "acc", "--goal", "max", "--trials", "3"];
  const slip = await navvy(it.nats, ...words, "--template", "search/template", "-p", "General/y=0..1");
  expect([slip.exitCode, slip.stderr]).toEqual([0, expect.stringContaining("the template has no General/y")]);
  await it.c.navvy.tasks.create({ name: "other", parameters: { "General/rate": 1 }, spec: { command: ["true"] } });
  const near = await navvy(it.nats, ...words, "--template", "other", "-p", "General/rite=0..1");
  expect([near.exitCode, near.stderr]).toEqual([2, expect.stringContaining("did you mean General/rate?")]);
  const gone = await navvy(it.nats, ...words, "--template", "search/tempalte", "-p", "General/x=0..1");
  expect([gone.exitCode, gone.stderr]).toEqual([3, expect.stringContaining('there is no task "search/tempalte"')]);
  const file = it.at("sweep.yaml");
  await writeFile(
    file,
    "name: a\ntemplate: search/template\nobjective: {metric: acc, goal: max}\nparameters: {x: {min: 0, max: 1}}\nbudget: {trails: 3}\n",
  );
  const misspelt = await navvy(it.nats, "sweep", "check", file);
  expect([misspelt.exitCode, misspelt.stderr]).toEqual([2, expect.stringContaining("sweep.yaml:5:10 budget.trails")]);
  await writeFile(file, (await readFile(file, "utf8")).replace("trails", "trials"));
  expect((await navvy(it.nats, "sweep", "check", file)).stdout).toContain("is fine: tpe over General/x");
  expect((await navvy(it.nats, "sweep", "show", "search/template")).stderr).toContain("is no sweep");
  expect((await it.c.list({ taskType: "optimizer" })).map(({ status }) => status)).toEqual(["queued"]);
});

function isDuring(trial: TaskRecord, other: TaskRecord): boolean {
  const [from, to] = [other.attempts[0]?.claimedAt ?? "", other.endedAt ?? ""];
  const at = trial.attempts[0]?.claimedAt ?? "";
  return from <= at && at <= to;
}
