import { readdirSync, readFileSync } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { describe, expect, test } from "vitest";
import { Task } from "../../controller/index.js";
import { controllerFleet } from "../support/controller-fleet.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const IRIS = join(ROOT, "dist", "examples", "iris", "main.js");

/** A place to run the example in: it keeps all its files in `temp`, so whatever is left names that folder. */
async function place() {
  const folder = await tempFolder();
  const temp = join(folder.path, "temp");
  await mkdir(temp);
  const options = { cwd: folder.path, env: { TMPDIR: temp }, reject: false, timeout: 50_000, killSignal: "SIGKILL" } as const;
  const run = (...args: string[]) => execa("node", [IRIS, ...args], options);
  return { path: folder.path, temp, run, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

/** Processes whose command line names the folder. */
function processesOf(folder: string): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ");
      return /^\d+$/.test(pid) && command.includes(folder) ? [`${pid} ${command}`] : [];
    } catch {
      return []; // it ended while we looked
    }
  });
}

describe("the iris example", () => {
  test("trains, chooses and judges a model over two agents, writes the files, and leaves nothing behind", async () => {
    await using it = await place();
    const { exitCode, stdout, stderr } = await it.run();
    expect([exitCode, stderr]).toEqual([0, ""]);
    const rows = stdout.slice(stdout.indexOf("\ntask ")).split("\n");
    const trained = rows.filter((row) =>
      /^train\S* lr=\S+ +completed +iris-[12] +1 +\d+\.\d s +[\d.]+ +60\/60 +\d+\.\d{4} +[01]\.\d{3}$/.test(row),
    );
    expect(trained.length).toBeGreaterThanOrEqual(6);
    expect(rows.filter((row) => /^(iris search|prepare|evaluate) +completed +iris-[12]/.test(row))).toHaveLength(3);
    expect(new Set(trained.map((row) => /iris-[12]/.exec(row)?.[0]))).toEqual(new Set(["iris-1", "iris-2"]));

    const output = join(it.path, "navvy-output");
    for (const name of ["report.md", "report.json", "model.json"]) expect(stdout).toContain(`wrote ${join(output, name)}`);
    const report = JSON.parse(await readFile(join(output, "report.json"), "utf8")) as { accuracy: number; rows: number; lr: number };
    const model = JSON.parse(await readFile(join(output, "model.json"), "utf8")) as { lr: number };
    expect(report).toMatchObject({ rows: 30, lr: model.lr });
    expect(report.accuracy).toBeGreaterThan(0.9);
    expect([processesOf(it.temp), await readdir(it.temp)]).toEqual([[], []]);
  });

  test("stays up with --keep until --stop", async () => {
    await using it = await place();
    const kept = await it.run("--keep");
    const folder = /files in ([^)]+)\)/.exec(kept.stdout)?.[1] ?? kept.stdout;
    expect([kept.exitCode, processesOf(folder).length > 2]).toEqual([0, true]);
    const ended = await it.run("--stop", folder);
    expect([ended.exitCode, ended.stdout]).toEqual([0, "the fleet has ended"]);
    await eventually("all of it has ended", () => processesOf(it.temp).length === 0);
    expect(await readdir(it.temp)).toEqual([]);
  });

  test("ends all of it when it is interrupted half way", async () => {
    await using it = await place();
    const child = it.run();
    for await (const line of child) if (/train lr=\S+ +running/.test(line)) child.kill("SIGINT");
    const { exitCode, stderr } = await child;
    expect([exitCode, stderr.trim()]).toEqual([130, "✖ SIGINT was received"]);
    expect([processesOf(it.temp), await readdir(it.temp)]).toEqual([[], []]);
  });
});

describe("the simple controller", () => {
  const run = (server: string, ...args: string[]) =>
    execa("tsx", [join(ROOT, "examples", "simple-controller.ts"), ...args], {
      env: { NAVVY_SERVER: server },
      preferLocal: true,
      localDir: ROOT,
      reject: false,
      timeout: 50_000,
      killSignal: "SIGKILL",
    });

  test("goes on by hand until the metric is good enough, and reports the best run", async () => {
    await using it = await controllerFleet();
    const { exitCode, stdout, stderr } = await run(it.nats.url);
    expect([exitCode, stderr]).toEqual([0, ""]);
    const rounds = [...stdout.matchAll(/^round \d: rate \S+ → completed, performance ([\d.]+)$/gm)].map((match) => Number(match[1]));
    expect(rounds.length).toBeGreaterThan(1);
    expect(rounds.filter((performance) => performance >= 0.99)).toEqual(rounds.slice(-1));
    const me = await Task.get("examples/simple controller");
    expect([me.status, me.artifacts.names, me.metrics.get("performance")?.count]).toEqual(["completed", ["best-line.json"], rounds.length]);
    const template = await Task.get("examples/fit a line");
    expect(await it.navvy.tasks.list({ parent: me.id, clonedFrom: template.id })).toHaveLength(rounds.length);
  });

  test("goes on the same way on the services queue when it sends itself there", async () => {
    await using it = await controllerFleet();
    const { exitCode, stdout, stderr } = await run(it.nats.url, "--remote");
    expect([exitCode, stdout]).toEqual([0, ""]);
    const remote = await Task.get(/goes on as task (\w{26}) on queue services/.exec(stderr)?.[1] ?? stderr);
    await remote.wait({ timeoutMs: 30_000 });
    expect([remote.status, remote.record.taskType, remote.record.queue, remote.outcome]).toMatchObject([
      "completed",
      "controller",
      "services",
      { code: 0 },
    ]);
    const best = await Task.get(remote.outputs["best"] as string);
    expect([best.status, best.record.parent, best.metrics.get("performance")?.last]).toEqual([
      "completed",
      remote.id,
      remote.outputs["performance"],
    ]);
    expect(await remote.artifacts.get("best-line.json").json()).toEqual(await best.artifacts.get("line.json").json());
  });
});
