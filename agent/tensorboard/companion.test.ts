import { appendFile, mkdir, readFile, rename, stat, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { tempFolder } from "../../test/support/folder.js";
import { PYTHON } from "../../test/support/python.js";
import { eventsFile, folderAt } from "../task/folder.js";
import { tensorboard } from "./companion.js";

const FIXTURES = fileURLToPath(new URL("../../test/fixtures/tensorboard", import.meta.url));

/** An attempt whose process has started, and its companion with a clock of the test's own. */
async function attempt() {
  const temp = await tempFolder();
  const folder = folderAt(temp.path);
  await mkdir(folder.work);
  await writeFile(folder.stdout, "");
  let nowMs = 0;
  const make = () => tensorboard(folder, { now: () => nowMs });
  const companion = make();
  return {
    folder,
    companion,
    make,
    pass: (ms: number) => (nowMs += ms),
    /** Runs Python that writes event files from the work folder; no client of TensorBoard can be installed here. */
    python: (code: string) =>
      execa(PYTHON, ["-S", "-B", "-c", `import os, sys; sys.path.insert(0, ${JSON.stringify(FIXTURES)}); from events import *\n${code}`], {
        cwd: folder.work,
      }),
    lines: async () => {
      const text = await readFile(eventsFile(folder, "tensorboard"), "utf8").catch(() => "");
      return text
        .split("\n")
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter(({ t }) => t !== "mark");
    },
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

const scalar = (k: string, v: number, step: number) => ({ t: "scalar", k, v, step, ts: 1_700_000_000.5 });

test("what a writer adds is read as it grows, half a record is waited for, and nobody looks in the first seconds", async () => {
  await using a = await attempt();
  await a.python('w = Writer("runs/x"); w.add(torch_scalar("loss", 0.5), 0)');
  expect([await a.companion.turn?.(), await a.lines()]).toEqual([false, []]);
  a.pass(3_000);
  await a.companion.turn?.();
  expect(await a.lines()).toEqual([scalar("loss", 0.5, 0)]);
  await a.python(`
whole = record(event([torch_scalar("loss", 0.25)], 1, 1700000000.5))
path = "runs/x/events.out.tfevents.1700000000.host"
with open(path, "ab") as f: f.write(whole[:17])
with open("rest", "wb") as f: f.write(whole[17:])`);
  a.pass(1_000);
  await a.companion.turn?.();
  expect(await a.lines()).toHaveLength(1);
  await appendFile(join(a.folder.work, "runs/x/events.out.tfevents.1700000000.host"), await readFile(join(a.folder.work, "rest")));
  a.pass(1_000);
  await a.companion.turn?.();
  expect((await a.lines()).slice(1)).toEqual([scalar("loss", 0.25, 1)]);
});

test("several writers are read side by side: the oldest run's tags stand as they are, those of others carry their folder's name", async () => {
  await using a = await attempt();
  await a.python(`
Writer("logs/validation", "events.out.tfevents.1700000200.h").add(tf2_scalar("epoch_loss", 0.5), 1)
Writer("logs/train", "events.out.tfevents.1700000100.h").add(tf2_scalar("epoch_loss", 0.25), 1)
Writer("logs/train", "events.out.tfevents.1700000300.h").add(tf2_scalar("epoch_loss", 0.125), 2)
Writer("logs/train/loss_a", "events.out.tfevents.1700000400.h").add(torch_scalar("loss", 1), 2)
Writer("other/validation", "events.out.tfevents.1700000500.h").add(torch_scalar("loss", 2), 2)`);
  await a.companion.finish?.();
  expect((await a.lines()).map(({ k, v }) => [k, v].join(" ")).sort()).toEqual([
    "epoch_loss 0.125",
    "epoch_loss 0.25",
    "loss_a/loss 1",
    "other/validation/loss 2",
    "validation/epoch_loss 0.5",
  ]);
});

test("images, histograms and texts are lines too, and $NAVVY_TB is looked into", async () => {
  await using a = await attempt();
  await a.python(`
w = Writer("../tb")
w.add(torch_image("sample", b"\\x89PNG\\r\\n"), 4)
w.add(torch_image("photo", b"\\xff\\xd8\\xff"), 4)
w.add(torch_image("huge", b"x" * 800000), 4)
w.add(torch_histogram("weights", [1.0, 2.0], [3, 4], 0.5, 1.5), 4)
w.add(torch_scalar("inf", float("-inf")), 4)
w.add(torch_text("note", "**bold**"), 4)`);
  await a.companion.finish?.();
  const common = { step: 4, ts: 1_700_000_000.5 };
  expect(await a.lines()).toMatchObject([
    {
      t: "media",
      name: "sample",
      kind: "image",
      mime: "image/png",
      data: Buffer.from("\x89PNG\r\n", "latin1").toString("base64"),
      ...common,
    },
    { t: "media", name: "photo", mime: "image/jpeg" },
    { t: "note", text: "image huge of TensorBoard is larger than 700 KiB: left out" },
    { t: "histogram", name: "weights", edges: [0.5, 1, 1.5], counts: [3, 4], ...common },
    { t: "scalar", k: "inf", v: "-inf", ...common },
    { t: "media", name: "note", kind: "text", text: "**bold**", ...common },
  ]);
});

test("a record that does not fit its checksum is told once, and the file is left from there on; others are read", async () => {
  await using a = await attempt();
  await a.python(`
w = Writer("runs/x"); w.add(torch_scalar("loss", 1), 1)
bad = bytearray(record(event([torch_scalar("loss", 2)], 2, 1))); bad[20] ^= 1; w.raw(bytes(bad))
w.add(torch_scalar("loss", 3), 3)
Writer("runs/y", "events.out.tfevents.1700000001.host").add(torch_scalar("loss", 4), 4)`);
  for (let i = 0; i < 3; i++) {
    a.pass(3_000);
    await a.companion.turn?.();
  }
  await a.companion.finish?.();
  expect(await a.lines()).toMatchObject([
    { k: "loss", v: 1 },
    {
      t: "note",
      level: "warn",
      text: expect.stringMatching(/^TensorBoard's work\/runs\/x\/events\S+: a record does not fit its checksum at byte \d+;/),
    },
    { k: "y/loss", v: 4 },
  ]);
});

test("an agent that takes the attempt up goes on where the last one stopped, also behind half a line", async () => {
  await using a = await attempt();
  await a.python(`
w = Writer("runs/x"); w.add(torch_scalar("loss", 1), 1); w.add(tf2_histogram("h", [(0.0, 1.0, 2.0)]), 1)
Writer("runs/y", "events.out.tfevents.1700000001.host").add(torch_scalar("loss", 2), 2)`);
  await a.companion.finish?.();
  await appendFile(eventsFile(a.folder, "tensorboard"), '{"t":"scalar","k":"half');
  await a.python(`
Writer.__init__ = lambda self, path: setattr(self, "path", path)
w = Writer("runs/x/events.out.tfevents.1700000000.host"); w.add(torch_scalar("loss", 3), 3); w.add(tf2_histogram("h", [(5.0, 6.0, 1.0)], None), 3)
Writer("runs/y/events.out.tfevents.1700000001.host").add(torch_scalar("loss", 4), 4)`);
  const second = a.make();
  await second.finish?.();
  await second.finish?.();
  const text = await readFile(eventsFile(a.folder, "tensorboard"), "utf8");
  const kept = text.split("\n").filter((line) => line.endsWith("}") && !line.includes('"mark"'));
  const seen = kept.map((line) => JSON.parse(line) as Record<string, unknown>).map(({ k, name, v, edges }) => [k ?? name, v ?? edges]);
  expect(seen).toEqual([
    ["loss", 1],
    ["h", [0, 1]],
    ["y/loss", 2],
    ["loss", 3],
    ["h", [5, 6]],
    ["y/loss", 4],
  ]);
});

test("event files that came with the code are not the task's, nor what lies in environments or behind links", async () => {
  await using a = await attempt();
  await using outside = await tempFolder();
  await a.python(`
for folder in ("old", "node_modules/a", ".hidden", "made", "deep/" + "/".join("123456789")): Writer(folder).add(torch_scalar(folder, 1))
open("made/pyvenv.cfg", "w").close()
Writer(${JSON.stringify(outside.path)}, "events.out.tfevents.1.a").add(torch_scalar("outside", 1))
Writer("new").add(torch_scalar("new", 1))
os.mkfifo("new/events.out.tfevents.pipe")`);
  const old = join(a.folder.work, "old/events.out.tfevents.1700000000.host");
  await utimes(old, 1_600_000_000, 1_600_000_000);
  await symlink(outside.path, join(a.folder.work, "link"));
  await symlink(join(outside.path, "events.out.tfevents.1.a"), join(a.folder.work, "new/events.out.tfevents.2.link"));
  await a.companion.finish?.();
  expect((await a.lines()).map(({ k }) => k)).toEqual(["new"]);
});

test("a file that becomes a link, goes away or is cut harms nobody, and a long record is passed over", async () => {
  await using a = await attempt();
  await a.python('Writer("a").add(torch_scalar("a", 1)); Writer("b").add(torch_scalar("b", 1)); Writer("c").add(torch_scalar("c", 1))');
  a.pass(3_000);
  await a.companion.turn?.();
  const at = (run: string) => join(a.folder.work, run, "events.out.tfevents.1700000000.host");
  await rename(at("a"), join(dirname(at("a")), "moved"));
  await symlink("moved", at("a"));
  await truncate(at("b"), 10);
  await a.python(`
with open("c/events.out.tfevents.1700000000.host", "ab") as f:
    head = struct.pack("<Q", 9 << 20)
    f.write(head + struct.pack("<I", masked(head)) + bytes((9 << 20) + 4) + record(event([torch_scalar("c", 2)], 2, 1)))`);
  await a.companion.finish?.();
  expect((await a.lines()).map(({ k, v }) => [k, v].join(" ")).sort()).toEqual(["a 1", "b/b 1", "c/c 1", "c/c 2"]);
});

test("a task that writes no event files leaves no trace", async () => {
  await using a = await attempt();
  await a.companion.finish?.();
  await expect(stat(eventsFile(a.folder, "tensorboard"))).rejects.toThrow("ENOENT");
});

test("after a task that was over at once only the nearest folders are searched", async () => {
  await using a = await attempt();
  await a.python('Writer("1/2/3/4/5").add(torch_scalar("deep", 1))');
  await a.companion.finish?.();
  expect(await a.lines()).toEqual([]);
  a.pass(1_000);
  await a.companion.finish?.();
  expect((await a.lines()).map(({ k }) => k)).toEqual(["deep"]);
});
