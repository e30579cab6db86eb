import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { tempFolder } from "../test/support/folder.js";
import { openTask } from "./index.js";

const MODULE = new URL("./index.ts", import.meta.url).href;

/** What an agent sets, in a folder of the test's own. */
async function attempt(params: object = {}) {
  const folder = await tempFolder();
  const at = (name: string) => join(folder.path, name);
  await Promise.all([mkdir(at("inputs")), mkdir(at("artifacts")), writeFile(at("params.json"), JSON.stringify(params))]);
  const env = {
    NAVVY_TASK_ID: "01JD",
    NAVVY_ATTEMPT: "3",
    NAVVY_EVENTS: at("events.jsonl"),
    NAVVY_PARAMS: at("params.json"),
    NAVVY_INPUTS: at("inputs"),
    NAVVY_ARTIFACTS: at("artifacts"),
  };
  const events = async () =>
    (await readFile(env.NAVVY_EVENTS, "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as unknown);
  return { env, at, events, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

const run = (code: string, env: Record<string, string> = {}) =>
  execa("node", ["--import", "tsx", "--input-type=module", "-e", code], { env, reject: false, timeout: 30_000 });

test("every kind of report is one JSON line of the events file", async () => {
  await using inside = await attempt();
  const task = openTask(inside.env);
  task.scalar("loss", 0.5);
  task.scalar("loss", Number.NaN);
  task.scalars({ acc: 0.9, lr: 0.1 }, { step: 7 });
  task.progress(3, 10, "epoch");
  task.output("accuracy", { top1: 0.9 });
  task.note("warn", "two\nlines");
  expect(await inside.events()).toEqual([
    { t: "scalar", k: "loss", v: 0.5, step: 0 },
    { t: "scalar", k: "loss", v: "nan", step: 1 },
    { t: "scalars", kv: { acc: 0.9, lr: 0.1 }, step: 7 },
    { t: "progress", n: 3, of: 10, unit: "epoch" },
    { t: "output", k: "accuracy", v: { top1: 0.9 } },
    { t: "note", level: "warn", text: "two\nlines" },
  ]);
});

test("images, histograms, tables, plots, texts, the summary and an artifact's kind are reports too", async () => {
  await using inside = await attempt();
  const task = openTask({ ...inside.env, NAVVY_SUMMARY: inside.at("summary.md") });
  await task.image("sample", new Uint8Array([1, 2]), { step: 5, caption: "two" });
  await writeFile(inside.at("large.jpg"), Buffer.alloc(600_000));
  await task.image("large", inside.at("large.jpg"), { step: 1 });
  task.histogram("weights", [0, 1, 1, 2, Number.NaN], { step: 2 });
  task.histogram("made", { edges: [0, 1, 2], counts: [3, 4] });
  task.table("worst", { columns: ["name", "loss"], rows: [["a", 1]], step: 3 });
  task.plot("roc", { kind: "line", x: [0, 1], y: [0, 1] });
  task.text("sample", "once upon", { step: 9 });
  await task.artifact("model.pt", new Uint8Array([1]), { kind: "model" });
  for (const text of ["# one", "# two\n"]) task.summary(text);
  const [image, large, histogram, ...rest] = await inside.events();
  expect(image).toEqual({ t: "media", name: "sample", kind: "image", mime: "image/png", data: "AQI=", step: 5, caption: "two" });
  expect(large).toMatchObject({ mime: "image/jpeg", path: inside.at("artifacts/media/large-1.jpeg") });
  const { edges, counts } = histogram as { edges: number[]; counts: number[] };
  expect([edges.length, edges[0], edges.at(-1), counts[0], counts[32], counts.at(-1)]).toEqual([65, 0, 2, 1, 2, 1]);
  expect(rest).toEqual([
    { t: "histogram", name: "made", edges: [0, 1, 2], counts: [3, 4] },
    { t: "table", name: "worst", columns: ["name", "loss"], rows: [["a", 1]], step: 3 },
    { t: "plot", name: "roc", spec: { kind: "line", x: [0, 1], y: [0, 1] } },
    { t: "media", name: "sample", kind: "text", text: "once upon", step: 9 },
    { t: "artifact", name: "model.pt", path: inside.at("artifacts/model.pt"), kind: "model" },
  ]);
  expect(await readFile(inside.at("summary.md"), "utf8")).toBe("# one\n\n# two\n\n");
});

test("a full disk warns once, and the program goes on", async () => {
  const code = `const { task } = await import(${JSON.stringify(MODULE)}); task.scalar("a", 1); task.scalar("a", 2); console.log("went on")`;
  const { stdout, stderr } = await run(code, { NAVVY_EVENTS: "/dev/full", NAVVY_TASK_ID: "x" });
  expect([stdout, stderr]).toEqual(["went on", expect.stringMatching(/^navvy\/task: a report could not be written: ENOSPC[^\n]*$/)]);
});

test("parameters are found by section and name, and fall back to the default", async () => {
  await using inside = await attempt({ General: { lr: 0.1, zero: 0 }, Data: { seed: 7 } });
  const task = openTask(inside.env);
  expect(task.params<{ lr: number }>().lr).toBe(0.1);
  expect(task.params("Data")).toEqual({ seed: 7 });
  expect(task.params("None")).toEqual({});
  expect(task.param("General/lr", 1)).toBe(0.1);
  expect(task.param("zero", 5)).toBe(0);
  expect(task.param("Data/size", 10)).toBe(10);
  expect([task.isInside, task.id, task.attempt]).toEqual([true, "01JD", 3]);
});

test("an artifact lies in the artifacts folder when its event says so, and a folder waits for the end", async () => {
  await using inside = await attempt();
  const task = openTask(inside.env);
  await writeFile(inside.at("made.txt"), "content");
  await mkdir(inside.at("many"));
  await writeFile(inside.at("many/a.txt"), "a");
  const path = await task.artifact("models/best.txt", inside.at("made.txt"));
  await task.artifact("bytes.bin", new Uint8Array([1, 2]));
  await task.artifact("folder", inside.at("many"));
  expect(path).toBe(inside.at("artifacts/models/best.txt"));
  expect(await readFile(path ?? "", "utf8")).toBe("content");
  expect(await readFile(inside.at("artifacts/folder/a.txt"), "utf8")).toBe("a");
  expect(await inside.events()).toMatchObject([
    { t: "artifact", name: "models/best.txt" },
    { t: "artifact", name: "bytes.bin" },
  ]);
  await expect(task.artifact("../escaped", new Uint8Array())).rejects.toThrow("not a name inside");
});

test("an input is a path, and a missing one names those that exist", async () => {
  await using inside = await attempt();
  await writeFile(inside.at("inputs/train.csv"), "");
  const task = openTask(inside.env);
  expect(task.input("train.csv")).toBe(inside.at("inputs/train.csv"));
  expect(() => task.input("test.csv")).toThrow("it has: train.csv");
});

test("outside navvy reports do nothing but warn once", async () => {
  const { stderr, exitCode, stdout } = await run(`
    const { task } = await import(${JSON.stringify(MODULE)});
    task.scalar("loss", 1); task.output("a", 1); task.onAbort(() => {}); await task.artifact("a", "missing");
    console.log(task.isInside, task.attempt, task.param("General/lr", 0.5));`);
  expect([exitCode, stdout]).toEqual([0, "false 0 0.5"]);
  expect(stderr).toBe("navvy/task: this process was not started by navvy, so its reports go nowhere");
});

const waiting = (listener: string) => `
  const { task } = await import(${JSON.stringify(MODULE)});
  task.onAbort(${listener});
  process.send("ready");
  setInterval(() => {}, 1000);`;

async function aborted(listener: string) {
  await using inside = await attempt();
  const child = execa("node", ["--import", "tsx", "--input-type=module", "-e", waiting(listener)], {
    env: inside.env,
    reject: false,
    ipc: true,
    timeout: 30_000,
  });
  await child.getOneMessage();
  child.kill("SIGTERM");
  return child;
}

test("an abort runs what was asked for and ends the process with 143", async () => {
  const { exitCode, stdout } = await aborted(`async () => { await null; console.log("saved"); }`);
  expect([exitCode, stdout]).toEqual([143, "saved"]);
});

test("an abort callback that throws ends the process with its error", async () => {
  const { exitCode, stderr } = await aborted(`() => { throw new Error("disk is gone"); }`);
  expect(exitCode).toBe(1);
  expect(stderr).toContain("disk is gone");
});

const REPORTING = `
  const { task } = await import(${JSON.stringify(MODULE)});
  process.once("message", () => {
    for (let i = 0; i < 1000; i++) task.note("info", "x".repeat(4000));
    process.disconnect();
  });
  process.send("ready");`;

test("lines of several processes that report at once never mix", async () => {
  await using inside = await attempt();
  const start = () =>
    execa("node", ["--import", "tsx", "--input-type=module", "-e", REPORTING], { env: inside.env, ipc: true, timeout: 30_000 });
  const children = [start(), start(), start()];
  await Promise.all(children.map((child) => child.getOneMessage()));
  await Promise.all(children.map((child) => child.sendMessage("go")));
  await Promise.all(children);
  expect(await inside.events()).toHaveLength(3000);
});
