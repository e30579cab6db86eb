import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { execa } from "execa";
import { expect, test } from "vitest";
import { NAVVY_PY, PYTHON, python } from "../../test/support/python.js";
import { reporting } from "../../test/support/reporting.js";

test("it is one file for Python 3.8 that imports nothing but the standard library", async () => {
  const check = `
import ast, sys
tree = ast.parse(open(sys.argv[1]).read(), feature_version=(3, 8))
names = {a.name.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
names |= {n.module.split(".")[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
print(sorted(names - set(sys.stdlib_module_names)))`;
  const { stdout } = await execa(PYTHON, ["-c", check, `${NAVVY_PY}/navvy.py`]);
  expect(stdout).toBe("[]");
});

test("metrics, progress, outputs and notes are lines of the events file; names are joined, and what is no number is left out", async () => {
  await using inside = await reporting();
  const { stdout, stderr, exitCode } = await python(
    inside,
    `
class Tensor:
    def item(self): return 0.25
class Broken:
    def item(self): raise RuntimeError("a tensor with 3 elements cannot be converted")
navvy.log({"loss": 0.5, "val": {"acc": Tensor(), "top5": 1}}, step=3)
navvy.log({"a": float("nan"), "b": float("inf"), "c": float("-inf"), "d": True, "bad": "text", "worse": Broken(), "none": None, "": 1})
navvy.log({"bad": "text"}, step=1.0)
navvy.log({"x": 1}, step="many")
navvy.progress(3, 10, "epoch")
navvy.progress(4)
navvy.output("best", {"acc": Tensor(), "nan": float("nan"), "list": (1, None, "é"), 7: {1}})
navvy.note("warn", "two\\nlines 🙂")
navvy.note("just text")
print(navvy.inside, navvy.task_id, navvy.attempt)`,
  );
  expect([exitCode, stdout]).toEqual([0, "True 01JD 3"]);
  const lines = await inside.events();
  expect(lines.slice(0, 3).map(({ ts: _ts, ...rest }) => rest)).toEqual([
    { t: "scalars", kv: { loss: 0.5, "val/acc": 0.25, "val/top5": 1 }, step: 3 },
    { t: "scalars", kv: { a: "nan", b: "inf", c: "-inf", d: 1 } },
    { t: "scalars", kv: { x: 1 } },
  ]);
  expect(Math.abs(Number(lines[0]?.ts) - Date.now() / 1000)).toBeLessThan(60);
  expect(lines.slice(3)).toEqual([
    { t: "progress", n: 3, of: 10, unit: "epoch" },
    { t: "progress", n: 4 },
    { t: "output", k: "best", v: { acc: 0.25, nan: "nan", list: [1, null, "é"], "7": [1] } },
    { t: "note", level: "warn", text: "two\nlines 🙂" },
    { t: "note", level: "info", text: "just text" },
  ]);
  expect(stderr.split("\n")).toEqual([
    expect.stringContaining("bad: 'text' is no number"),
    expect.stringContaining("worse: "),
    expect.stringContaining("none: None is no number"),
    expect.stringContaining("a metric's name has 1 to 256 characters"),
  ]);
});

test("numbers and arrays of numpy are taken as they are", async () => {
  await using inside = await reporting();
  const code = `import navvy, numpy as np
navvy.log({"f32": np.float32(0.5), "i64": np.int64(7), "one": np.array([[2.5]]), "b": np.bool_(True), "nan": np.float64("nan")}, step=np.int64(4))
navvy.output("matrix", np.eye(2))
navvy.histogram("w", np.array([0.0, 1.0, 1.0, np.nan]), step=1, bins=2)
navvy.image("pixels", np.zeros((3, 2, 4), dtype=np.uint8))`;
  const ran = await execa(PYTHON, ["-B", "-c", `try:\n    import numpy\nexcept ImportError:\n    raise SystemExit(77)\n${code}`], {
    env: { ...inside.env, PYTHONPATH: NAVVY_PY },
    reject: false,
  });
  if (ran.exitCode === 77) return; // a machine without it: scalars of others stand in above
  expect(ran.stderr).toBe("");
  expect(await inside.events()).toMatchObject([
    { kv: { f32: 0.5, i64: 7, one: 2.5, b: 1, nan: "nan" }, step: 4 },
    { k: "matrix", v: [[1, 0], [0, 1]] }, // biome-ignore format: a matrix
    { t: "histogram", name: "w", edges: [0, 0.5, 1], counts: [1, 2], step: 1 },
    { t: "media", name: "pixels" },
  ]);
});

test("parameters are typed, found as items, attributes and by section, and one that is missing names those that are there", async () => {
  await using inside = await reporting({ General: { lr: 0.1, on: false, layers: [1, 2], nested: { a: 1 } }, Data: { seed: 7, lr: 5 } });
  const { stdout, stderr } = await python(
    inside,
    `
p = navvy.params
print(p.lr, p["lr"], p["General/lr"], p["Data/lr"], p.Data.seed, p.on, p.layers, p.nested.a, "lr" in p, p.get("no", 3))
print(navvy.param("lr", 1), navvy.param("Data/seed"), navvy.param("Data/none", 5), navvy.param("None/none", None), sorted(dict(p)))
for act in (lambda: p.none, lambda: p["Data/none"], lambda: navvy.param("none")):
    try: act()
    except (AttributeError, KeyError) as error: print(type(error).__name__, error)`,
  );
  expect(stderr).toBe("");
  expect(stdout.split("\n")).toEqual([
    "0.1 0.1 0.1 5 7 False [1, 2] 1 True 3",
    "0.1 7 5 None ['Data', 'layers', 'lr', 'nested', 'on']",
    expect.stringContaining("AttributeError"),
    expect.stringMatching(/^KeyError .*no parameter 'Data\/none'; it has: Data, layers, lr, nested, on/),
    expect.stringContaining("KeyError"),
  ]);
});

test("artifacts are copied as a whole and reported with their kind; a wrong name or a missing file is the caller's mistake", async () => {
  await using inside = await reporting();
  await writeFile(inside.at("made.pt"), "content");
  await mkdir(inside.at("many"));
  await writeFile(inside.at("many/a.txt"), "a");
  const { stdout, stderr } = await python(
    inside,
    `
import os
os.chdir(os.environ["NAVVY_DIR"])
print(navvy.artifact("models/best.pt", "made.pt", kind="model") == os.environ["NAVVY_ARTIFACTS"] + "/models/best.pt")
navvy.artifact("made.pt")
navvy.artifact("bytes.bin", b"123")
navvy.artifact("folder", "many")
navvy.artifact("models/best.pt", os.environ["NAVVY_ARTIFACTS"] + "/models/best.pt")
for name, content in (("../x", b""), ("/x", b""), ("", b""), ("x", "missing")):
    try: navvy.artifact(name, content)
    except (ValueError, FileNotFoundError) as error: print(error)
open("inputs/train.csv", "w").close()
print(navvy.input("train.csv") == os.environ["NAVVY_INPUTS"] + "/train.csv")
try: navvy.input("test.csv")
except FileNotFoundError as error: print(error)`,
  );
  expect(stderr).toBe("");
  expect(stdout.split("\n")).toEqual([
    "True",
    ...Array.from({ length: 3 }, () => expect.stringContaining("is not a name inside")),
    "artifact 'x': there is no file missing",
    "True",
    "the task has no input 'test.csv'; it has: train.csv",
  ]);
  expect(await readFile(inside.at("artifacts/models/best.pt"), "utf8")).toBe("content");
  expect((await readdir(inside.at("artifacts"), { recursive: true })).sort()).toEqual(
    ["bytes.bin", "folder", "folder/a.txt", "made.pt", "models", "models/best.pt"], // biome-ignore format: one line
  );
  expect(await inside.events()).toMatchObject([
    { t: "artifact", name: "models/best.pt", kind: "model" },
    { t: "artifact", name: "made.pt" },
    { t: "artifact", name: "bytes.bin" },
    { t: "artifact", name: "models/best.pt" },
  ]);
});

test("images, histograms, tables, plots, texts and the summary are reports too", async () => {
  await using inside = await reporting();
  const { stderr } = await python(
    inside,
    `
navvy.image("in/sample", [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]], step=5, caption="four")
navvy.image("grey", [[0.0, 1.0]])
import os
large = os.environ["NAVVY_DIR"] + "/large.jpg"
with open(large, "wb") as file: file.write(b"j" * 600000)
navvy.image("large", large, step=3)
navvy.histogram("weights", [0, 1, 1, 2, float("nan")], step=2, bins=2)
navvy.histogram("made", edges=[0, 1, 2], counts=[3, 4])
navvy.table("worst", ["name", "loss"], [("a", float("inf")), ("b", 0.5)], step=1)
navvy.table("long", ["i"], [[i] for i in range(1500)])
navvy.plot("roc", x=[0, 1], y=[0, 1])
navvy.plot("vega", {"mark": "bar"}, step=1)
navvy.text("sample", "once upon\\na time", step=9)
navvy.summary("# done")
navvy.summary("# again", replace=True)
navvy.summary("more")`,
  );
  expect(stderr).toContain("table long: the first 1000 of 1500 rows are taken");
  const lines = await inside.events();
  expect(lines).toMatchObject([
    { t: "media", name: "in/sample", kind: "image", mime: "image/png", step: 5, caption: "four" },
    { t: "media", name: "grey", kind: "image" },
    { t: "media", name: "large", path: inside.at("artifacts/media/large-3.jpeg"), mime: "image/jpeg" },
    { t: "histogram", name: "weights", edges: [0, 1, 2], counts: [1, 3], step: 2 },
    { t: "histogram", name: "made", edges: [0, 1, 2], counts: [3, 4] },
    { t: "table", name: "worst", columns: ["name", "loss"], rows: [["a", "inf"], ["b", 0.5]], step: 1 }, // biome-ignore format: one line
    { t: "table", name: "long" },
    { t: "plot", name: "roc", spec: { kind: "line", x: [0, 1], y: [0, 1] } },
    { t: "plot", name: "vega", spec: { mark: "bar" }, step: 1 },
    { t: "media", name: "sample", kind: "text", text: "once upon\na time", step: 9 },
  ]);
  const png = Buffer.from(String(lines[0]?.data), "base64");
  expect([png.subarray(1, 4).toString(), png.readUInt32BE(16), png.readUInt32BE(20), png[25]]).toEqual(["PNG", 2, 2, 2]);
  expect(await readFile(inside.at("summary.md"), "utf8")).toBe("# again\n\nmore\n\n");
});

test("outside navvy everything does nothing but warn once", async () => {
  const { stdout, stderr, exitCode } = await python(
    undefined,
    `
navvy.log({"a": 1}); navvy.output("a", 1); navvy.artifact("a", b""); navvy.image("i", b""); navvy.summary("x"); navvy.note("x")
@navvy.on_abort
def save(): pass
print(navvy.inside, navvy.attempt, dict(navvy.params), navvy.param("lr", 0.5), navvy.input("data.csv")[-9:])`,
  );
  expect([exitCode, stdout]).toEqual([0, "False 0 {} 0.5 /data.csv"]);
  expect(stderr).toBe("navvy: this program was not started by navvy, so its reports go nowhere");
});

test("a full disk, a folder that is gone and a report that is too long warn once, and the program goes on", async () => {
  await using inside = await reporting();
  const code = `
for i in range(3): navvy.log({"a": i}); navvy.summary("x"); navvy.artifact("a", b"x")
navvy.output("long", "x" * 2000000)
print("went on")`;
  const full = { NAVVY_EVENTS: "/dev/full", NAVVY_SUMMARY: inside.at("gone/summary.md"), NAVVY_ARTIFACTS: "/dev/null" };
  const { stdout, stderr } = await python(inside, code, full);
  expect(stdout).toBe("went on");
  expect(stderr.split("\n")).toEqual([
    expect.stringMatching(/a report could not be written: .*No space left/),
    expect.stringMatching(/the summary could not be written: .*No such file/),
    expect.stringMatching(/artifact a could not be written: /),
    expect.stringMatching(/a report \(output\) of 2000\d\d\d bytes is over the limit of 1 MiB/),
  ]);
});

test("lines of threads, forks and other processes never mix", async () => {
  await using inside = await reporting();
  const code = `
import os, threading
def work(who):
    for i in range(100): navvy.log({who: i}); navvy.output(who, "x" * 3000)
children = []
for child in "abc":
    pid = os.fork()
    if pid == 0:
        threads = [threading.Thread(target=work, args=(child + str(i),)) for i in range(3)]
        [t.start() for t in threads]; [t.join() for t in threads]
        os._exit(0)
    children.append(pid)
print([os.waitpid(pid, 0)[1] for pid in children])`;
  const both = await Promise.all([python(inside, code), python(inside, code)]);
  expect(both.map(({ stdout }) => stdout)).toEqual(["[0, 0, 0]", "[0, 0, 0]"]);
  expect(await inside.events()).toHaveLength(2 * 3 * 3 * 200);
});
