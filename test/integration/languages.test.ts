import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { type Nats, startNats } from "../support/nats.js";
import { PYTHON } from "../support/python.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const FIXTURES = fileURLToPath(new URL("../fixtures/tensorboard", import.meta.url));

let nats: Nats;
let agent: AgentProcess;
let fleet: Client;
beforeAll(async () => {
  nats = await startNats();
  agent = await spawnAgent(nats, { slots: 3 });
  fleet = await client(nats);
}, 60_000);
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

test("a Python task imports navvy without installing it, reads its parameters and reports; its own PYTHONPATH holds too", async () => {
  const code = `
import navvy, os, sys
print(navvy.params.lr, navvy.param("Data/seed"), navvy.attempt, os.environ["PYTHONPATH"].split(":")[-1])
for step in range(3):
    navvy.log({"loss": 1 / (step + 1), "val/acc": float("nan")}, step=step)
    navvy.progress(step + 1, 3, "step")
navvy.output("accuracy", {"top1": 0.9})
navvy.artifact("models/best.pt", b"weights", kind="model")
navvy.note("warn", "mind\\nthe gap")`;
  const id = await fleet.submit([PYTHON, "-c", code], {
    parameters: { "General/lr": 0.1, "Data/seed": 7 },
    spec: { env: { PYTHONPATH: "/mine" } },
  });
  const { status, reported } = await fleet.ended(id);
  expect([status, await fleet.logOf(id), await fleet.logOf(id, "err")]).toEqual(["completed", "0.1 7 1 /mine\n", ""]);
  expect(reported.metrics.loss).toMatchObject({ last: 1 / 3, lastStep: 2, count: 3 });
  expect(reported.metrics["val/acc"]?.count).toBe(3);
  expect(reported).toMatchObject({ progress: { n: 3, of: 3, unit: "step" }, outputs: { accuracy: { top1: 0.9 } } });
  expect(reported.artifacts).toMatchObject([{ name: "models/best.pt", sizeBytes: 7, kind: "model" }]);
  expect(reported.notes).toMatchObject([{ level: "warn", text: "mind\nthe gap" }]);
});

test("a Python task that is aborted saves its checkpoint within the grace", async () => {
  const code = `
import navvy, time
@navvy.on_abort
def save():
    navvy.artifact("checkpoint.pt", b"state")
navvy.progress(1)
time.sleep(60)`;
  const id = await fleet.submit([PYTHON, "-c", code]);
  await eventually("it trains", async () => (await fleet.record(id)).reported.progress?.n === 1, { timeoutMs: 30_000 });
  await fleet.navvy.tasks.abort(id, { reason: "enough" });
  const { status, outcome, reported } = await fleet.ended(id);
  expect([status, outcome?.kind]).toEqual(["aborted", "aborted"]);
  expect(reported.artifacts.map(({ name }) => name)).toEqual(["checkpoint.pt"]);
});

test("a shell script reports by navvy-report, and by the navvy command with the same words", async () => {
  const script = `set -e
    navvy-report scalar loss 0.5 --step 1; navvy-report progress 2 4 epoch; navvy-report output name="it's" accuracy=json:0.9
    echo model > made.bin; navvy-report artifact made.bin --kind model; navvy-report note warn 'disk "sda" is slow'
    navvy report scalar loss 0.25 --step 2; navvy report note info 'by the command'
    navvy report scalar loss x || echo "ended with $?"`;
  const id = await fleet.submit(["sh", "-c", script]);
  const { status, reported } = await fleet.ended(id);
  expect([status, await fleet.logOf(id)]).toEqual(["completed", "ended with 2\n"]);
  expect(await fleet.logOf(id, "err")).toContain("is a number, not 'x'");
  expect(reported.metrics.loss).toMatchObject({ last: 0.25, lastStep: 2, count: 2 });
  expect(reported).toMatchObject({ progress: { n: 2, of: 4, unit: "epoch" }, outputs: { name: "it's", accuracy: 0.9 } });
  expect(reported.artifacts).toMatchObject([{ name: "made.bin", kind: "model" }]);
  expect(reported.notes.map(({ text }) => text)).toEqual(['disk "sda" is slow', "by the command"]);
});

test("parameters go in as arguments and in the command, one that is missing is named, and a replay runs the same", async () => {
  await using temp = await tempFolder();
  const env = { NAVVY_SERVER: nats.url };
  const navvy = (...args: string[]) => execa(process.execPath, [MAIN, ...args], { cwd: temp.path, env, reject: false });
  const show = "import sys; print(sys.argv[1:])";
  const flags = ["-p", "General/lr=0.1", "-p", "General/name=it's $HOME", "-p", "Data/seed=7", "-p", "General/on=false"];
  const command = ["--", PYTHON, "-c", show, "run-${params.Data.seed}", "$${params.no}"];
  const ran = await navvy("run", "-n", "asks", ...flags, "--params-as", "flags", ...command);
  const words = `['run-7', '\${params.no}', '--lr', '0.1', '--name', "it's $HOME", '--no-on', '--Data.seed', '7']`;
  expect([ran.exitCode, ran.stdout]).toEqual([0, words]);
  const replayed = await navvy("task", "replay", "asks", "--into", "again", "--run");
  expect(replayed.stdout).toBe(words);
  const hydra = await navvy("run", ...flags, "--params-as", "hydra", "--", PYTHON, "-c", show);
  expect(hydra.stdout).toBe(`['lr=0.1', "name='it\\\\'s $HOME'", 'on=false', 'Data.seed=7']`);
  const shell = await navvy("run", ...flags, "-e", "ASKED=${params.name}", "--shell", 'echo "${params.name} $ASKED ${#ASKED}"');
  expect(shell.stdout).toBe("it's $HOME it's $HOME 10");
  const missing = await navvy("run", ...flags, "--", PYTHON, "-c", show, "${params.lrr}");
  expect(missing.exitCode).not.toBe(0);
  const [failed] = await fleet.list({ status: "failed" });
  expect(failed?.outcome).toMatchObject({ kind: "setup_failed", reason: expect.stringContaining("asks for ${params.lrr}") });
  expect(failed?.outcome?.tail).toContain("it has: lr, name, on, Data.seed");
});

test("an unchanged script that writes TensorBoard files reports while it runs, and every point once", async () => {
  // No client can be installed here: the fixture lays the bytes out as PyTorch's and TensorFlow's writers do.
  const code = `
import os, sys, time
sys.path.insert(0, ${JSON.stringify(FIXTURES)})
from events import *
w = Writer("runs/exp")
for step in range(20): w.add(torch_scalar("loss", 1 / (step + 1)), step)
w.add(torch_histogram("weights", [1.0, 2.0], [3, 4], 0.5, 1.5), 3)
w.add(torch_image("sample", b"\\x89PNG\\r\\n"), 4)
Writer(os.environ["TENSORBOARD_LOGGING_DIR"] + "/eval", "events.out.tfevents.1700000001.h").add(tf2_scalar("acc", 0.5), 7)
while not os.path.exists("go"): time.sleep(0.05)
w.add(torch_scalar("loss", 0.01), 20)`;
  const id = await fleet.submit([PYTHON, "-S", "-B", "-c", code]);
  const seen = async () => (await fleet.record(id)).reported.metrics;
  await eventually("its points are seen", async () => (await seen())["eval/acc"]?.count === 1, { timeoutMs: 30_000 });
  expect((await seen()).loss).toMatchObject({ count: 20, lastStep: 19 });
  await writeFile(join(agent.workDir, agent.name, "attempts", `${id}.1`, "work", "go"), "");
  const { reported, status } = await fleet.ended(id);
  expect(status).toBe("completed");
  expect(reported.metrics.loss).toMatchObject({ count: 21, last: expect.closeTo(0.01), lastStep: 20, min: expect.closeTo(0.01) });
  expect((await fleet.navvy.metrics.series({ id, attempt: 1 }, "loss")).map(({ step }) => step)).toEqual([...Array(21).keys()]);
  const media = [];
  for await (const { kind, name, step } of fleet.navvy.metrics.media({ id, attempt: 1 })) media.push([kind, name, step]);
  expect(media).toEqual([
    ["histogram", "weights", 3],
    ["image", "sample", 4],
  ]);
});

test("the example in Python runs as it stands", async () => {
  const example = fileURLToPath(new URL("../../examples/python/train.py", import.meta.url));
  const id = await fleet.submit([PYTHON, "-S", example], { parameters: { "General/epochs": 5 } });
  const { status, reported } = await fleet.ended(id);
  expect([status, await fleet.logOf(id, "err")]).toEqual(["completed", ""]);
  expect(reported.metrics.loss).toMatchObject({ count: 5, lastStep: 4 });
  expect(reported.outputs.accuracy).toBeGreaterThan(0.8);
  expect(reported.artifacts).toMatchObject([{ name: "weights.json", kind: "model" }]);
});
