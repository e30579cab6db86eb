import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.js";
import { type Fleet, type Live, startFleet } from "./cli-fleet.js";

let fleet: Fleet;
let agent: Live;

beforeAll(async () => {
  fleet = await startFleet();
  agent = await fleet.agent("one", [
    "-q",
    "default",
    "-q",
    "gpu",
    "--slots",
    "2",
    "--services",
    "1",
    "--order",
    "fair",
    "--label",
    "rack=b2",
  ]);
}, 240_000);

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await fleet?.[Symbol.asyncDispose]();
});

const id = (said: { out: string }) => said.out.trim();
const draft = async (...args: string[]) => id(await fleet.run(["task", "create", "-o", "name", ...args]));

describe("navvy run", () => {
  test("passes on the task's output, each stream to its own, and its exit code", async () => {
    const said = await fleet.run(["run", "-n", "speaker", "--", "sh", "-c", "echo to-out; echo to-err >&2; exit 42"]);
    expect(said).toMatchObject({ code: 42, out: "to-out\n" });
    expect(said.err).toContain("to-err\n");
    expect(said.err).toContain("✖ failed");
  });

  test("hands words after -- to the task untouched, also those that look like its own flags", async () => {
    const words = ["-o", "json", "--help", "a b", "", "--", "*"];
    const said = await fleet.run([
      "run",
      "--",
      process.execPath,
      "-e",
      "console.log(JSON.stringify(process.argv.slice(1)))",
      "--",
      ...words,
    ]);
    expect(JSON.parse(said.out)).toEqual(words);
  });

  test("sends parameters with their types, environment, project and tags along", async () => {
    const script =
      "process.stdout.write(JSON.stringify([JSON.parse(require('fs').readFileSync(process.env.NAVVY_PARAMS)), process.env.COLOUR]))";
    const args = [
      "-p",
      "General/lr=0.1",
      "-p",
      "Model/name=resnet",
      "-e",
      "COLOUR=blue",
      "--project",
      "vision",
      "--tag",
      "x",
      "--type",
      "testing",
    ];
    const said = await fleet.run(["run", ...args, "--", process.execPath, "-e", script]);
    expect(JSON.parse(said.out)).toEqual([{ General: { lr: 0.1 }, Model: { name: "resnet" } }, "blue"]);
    expect(await fleet.json(["task", "show", "@last"])).toMatchObject({ project: "vision", tags: ["x"], taskType: "testing" });
  });

  test("prints nothing but the record with -o json", async () => {
    const said = await fleet.run(["run", "-o", "json", "--shell", "echo noise; exit 3"]);
    expect(said.code).toBe(3);
    expect(said.err).toContain("noise");
    expect(JSON.parse(said.out)).toMatchObject({ schema: "navvy.task/1", status: "failed", outcome: { kind: "exited", code: 3 } });
  });

  test("sends a folder of code along with --code, and runs in it", async () => {
    await mkdir(join(fleet.folder, "code"));
    await writeFile(join(fleet.folder, "code", "probe.txt"), "from the bundle\n");
    const said = await fleet.run(["run", "--code", "code", "--", "cat", "probe.txt"]);
    expect(said).toMatchObject({ code: 0, out: "from the bundle\n" });
  });

  test("gives 124 for a time limit and 125 for a program that is not there", async () => {
    const [late, absent] = await Promise.all([
      fleet.run(["run", "--timeout", "500ms", "--grace", "100ms", "--", "sleep", "60"]),
      fleet.run(["run", "--", "no-such-program-here"]),
    ]);
    expect(late.code).toBe(124);
    expect(absent.code).toBe(125);
  });

  test("begins a line of its own after output that has no end of line, and hints at --shell for a shell line in one word", async () => {
    expect((await fleet.run(["run", "--shell", "printf half"])).err).toMatch(/\n\n?✔ completed/);
    const said = await fleet.run(["run", "--", 'echo "a b" | wc']);
    expect(said.code).toBe(125);
    expect(said.err).toContain(`navvy run --shell 'echo "a b" | wc'`);
  });

  test("refuses a name that reads as a reference", async () => {
    expect((await fleet.run(["run", "-n", "@last", "--", "true"])).code).toBe(2);
  });

  test("retries as often as it was told", async () => {
    const said = await fleet.run(["run", "--retries", "1", "--shell", 'test "$NAVVY_ATTEMPT" = 2']);
    expect(said.code).toBe(0);
    expect(said.err).toContain("attempt 2");
  });

  test("with --dry-run prints the document and creates nothing, with --draft creates it only", async () => {
    const said = await fleet.run(["run", "--dry-run", "-n", "ghost", "--json", "--", "true"]);
    expect(JSON.parse(said.out)).toMatchObject({ schema: "navvy.new-task/1", name: "ghost", spec: { command: ["true"] } });
    expect((await fleet.run(["task", "show", "ghost"])).code).toBe(3);
    const made = await fleet.run(["run", "--draft", "--", "true"]);
    expect(await fleet.json(["task", "show", id(made)])).toMatchObject({ status: "draft" });
  });

  test("refuses a slip in a queue's name, and with --require-agent a queue that nobody serves", async () => {
    const slip = await fleet.run(["run", "-q", "defalt", "--", "true"]);
    expect(slip).toMatchObject({ code: 3, out: "" });
    expect(slip.err).toContain('did you mean "default"?');
    expect((await fleet.run(["run", "-q", "lonely-place", "--require-agent", "--", "true"])).code).toBe(8);
  });

  test("says why a task waits, after three seconds of waiting", async () => {
    await using waiting = fleet.live(["run", "-q", "nobody-here", "--", "true"]);
    await eventually("the reason is told", () => waiting.err().includes("navvy agent start -q nobody-here"));
    waiting.kill("SIGTERM");
    expect(await waiting.end()).toBe(130);
  });

  test("lets the task go on at Ctrl-C and says how to come back", async () => {
    await using following = fleet.live(["run", "-n", "long", "--shell", "echo started; sleep 4; echo finished"]);
    await eventually("it runs", () => following.out().includes("started"));
    following.kill("SIGINT");
    expect(await following.end()).toBe(130);
    const back = /navvy (logs \w+ -f)/.exec(following.err())?.[1]?.split(" ") ?? [];
    expect((await fleet.run(back)).out).toBe("started\nfinished\n");
    expect((await fleet.run(["wait", "long"])).code).toBe(0);
  });

  test("aborts the task at a second Ctrl-C: 122", async () => {
    await using following = fleet.live(["run", "--grace", "1s", "--shell", "echo started; sleep 60"]);
    await eventually("it runs", () => following.out().includes("started"));
    following.kill("SIGINT");
    await eventually("it says what a second one does", () => following.err().includes("Ctrl-C again"));
    await eventually("it aborts", () => (following.err().includes("aborting") ? true : (following.kill("SIGINT"), false)), {
      everyMs: 150,
    });
    expect(await following.end()).toBe(122);
  });
});

describe("navvy task", () => {
  test("walks a draft through its whole life", async () => {
    const task = await draft("-n", "life", "-p", "General/lr=0.1", "--", "true");
    expect(task).toMatch(/^[0-9A-Z]{26}$/);
    expect((await fleet.run(["task", "set", task, "General/lr=0.5", "General/deep=[1,2]"])).code).toBe(0);
    expect((await fleet.run(["task", "edit", task, "--tag", "edited", "--", "sh", "-c", "exit 0"])).code).toBe(0);
    expect(await fleet.json(["task", "show", task])).toMatchObject({
      tags: ["edited"],
      spec: { command: ["sh", "-c", "exit 0"], parameters: { General: { lr: 0.5, deep: [1, 2] } } },
    });
    await fleet.run(["task", "enqueue", task, "-q", "unserved"]);
    expect((await fleet.run(["task", "edit", task, "--tag", "late"])).code).toBe(1);
    expect((await fleet.run(["task", "dequeue", task])).code).toBe(0);
    expect((await fleet.run(["task", "enqueue", task])).out).toContain("queued on unserved");
    expect((await fleet.run(["task", "dequeue", task])).code).toBe(0);
    expect((await fleet.run(["task", "enqueue", task, "-q", "default", "--class", "high"])).out).toContain("queued on default");
    expect(await fleet.run(["task", "wait", task])).toMatchObject({ code: 0, out: expect.stringContaining("✔ completed") as string });
    expect((await fleet.run(["task", "publish", task])).out).toContain("published");
    expect((await fleet.run(["task", "reset", task])).code).toBe(1);
    expect((await fleet.run(["task", "archive", task])).code).toBe(0);
    expect((await fleet.run(["task", "ls", "--name", "life", "-o", "name"])).out).toBe("");
    expect((await fleet.run(["task", "unarchive", task])).code).toBe(0);
    expect(id(await fleet.run(["task", "ls", "--name", "life", "-o", "name"]))).toBe(task);
    expect((await fleet.run(["task", "rm", task])).code).toBe(1);
    expect((await fleet.run(["task", "rm", "--force", task])).code).toBe(0);
    expect((await fleet.run(["task", "show", task])).code).toBe(3);
  });

  test("clones with changes and runs the clone", async () => {
    const template = await draft("-n", "template", "-p", "General/lr=0.1", "--", "sh", "-c", 'echo "lr $NAVVY_PARAM_LR"');
    const clone = id(await fleet.run(["task", "clone", template, "-p", "General/lr=0.7", "--enqueue", "-q", "gpu", "-o", "name"]));
    expect((await fleet.run(["wait", clone])).code).toBe(0);
    expect((await fleet.run(["task", "logs", clone])).out).toBe("lr 0.7\n");
    expect(await fleet.json(["task", "show", clone])).toMatchObject({ clonedFrom: template, queue: "gpu" });
  });

  test("resets a failed task to draft", async () => {
    await fleet.run(["run", "-n", "breaks", "--", "false"]);
    expect((await fleet.run(["task", "reset", "breaks"])).out).toContain("back to draft");
  });

  test("aborts a running task, and wait tells so with 122", async () => {
    const task = id(await fleet.run(["run", "-d", "-o", "name", "--", "sleep", "60"]));
    await eventually("it runs", async () => (await fleet.json(["task", "show", task]))["status"] === "running");
    expect((await fleet.run(["task", "abort", task, "--wait", "--now", "--reason", "enough"])).out).toContain("aborted");
    expect((await fleet.run(["wait", task])).code).toBe(122);
    expect((await fleet.run(["why", task])).out).toContain("enough");
  });

  test("refuses a parameter without its section and an unknown status, with a way out", async () => {
    const task = await draft("-n", "strict", "--", "true");
    const sectionless = await fleet.run(["task", "set", task, "lr=0.1"]);
    expect(sectionless.code).toBe(2);
    expect(sectionless.err).toContain("fix: General/lr");
    expect((await fleet.run(["task", "ls", "--status", "runing"])).code).toBe(2);
  });

  test("shows metrics, outputs and artifacts of what ran", async () => {
    const script = `const fs = require("fs"), e = process.env;
      for (let step = 1; step <= 3; step++) fs.appendFileSync(e.NAVVY_EVENTS, JSON.stringify({ t: "scalar", k: "loss", v: 1 / step, step }) + "\\n");
      fs.appendFileSync(e.NAVVY_OUTPUT, "answer=json:42\\n");
      fs.writeFileSync(e.NAVVY_ARTIFACTS + "/model.bin", "weights");`;
    const said = await fleet.run(["run", "-n", "producer", "--", process.execPath, "-e", script]);
    expect(said.code).toBe(0);
    expect((await fleet.run(["task", "metrics", "producer"])).out).toMatch(/loss +0\.3333 +3/);
    const { items } = await fleet.json<{ items: { value: number }[] }>(["task", "metrics", "producer", "--key", "loss"]);
    expect(items.map((point) => point.value)).toEqual([1, 0.5, 1 / 3]);
    expect((await fleet.run(["task", "show", "producer"])).out).toContain("answer=42");
    expect((await fleet.run(["artifact", "ls", "producer", "-o", "name"])).out).toBe("model.bin\n");
    expect((await fleet.run(["artifact", "cat", "producer", "model.bin"])).out).toBe("weights");
    expect((await fleet.run(["artifact", "get", "producer", "model.bin", "--to", "fetched.bin"])).code).toBe(0);
    expect(await readFile(join(fleet.folder, "fetched.bin"), "utf8")).toBe("weights");
    expect((await fleet.run(["artifact", "get", "producer", "modle.bin"])).err).toContain('did you mean "model.bin"?');
    expect((await fleet.run(["run", "--input", "w=producer/model.bin", "--shell", 'cat "$NAVVY_INPUTS/w"'])).out).toBe("weights");
  });

  test("artifact put makes a file an input of a draft", async () => {
    await writeFile(join(fleet.folder, "in.txt"), "given\n");
    const task = await draft("-n", "reader", "--shell", 'cat "$NAVVY_INPUTS/in.txt"');
    expect((await fleet.run(["artifact", "put", "in.txt", "--task", task, "-o", "name"])).out).toMatch(/^[0-9a-f]{64}\n$/);
    await fleet.run(["task", "enqueue", task]);
    await fleet.run(["wait", task]);
    expect((await fleet.run(["logs", task])).out).toBe("given\n");
  });
});
