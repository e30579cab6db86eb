import { once } from "node:events";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa, type Options } from "execa";
import pino from "pino";
import { describe, expect, test } from "vitest";
import { startAgent } from "../../agent/index.js";
import { type Navvy } from "../../broker/index.js";
import { connectTo, disconnect, Task, waitAll, waitAny } from "../../controller/index.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { type Nats, startNats } from "../support/nats.js";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A server, agents, and this process's connection to them. */
async function fleet(options: { slots?: number; agents?: number } = {}) {
  const nats = await startNats();
  const folder = await tempFolder();
  const closers = [() => nats.stop(), () => folder[Symbol.asyncDispose](), disconnect];
  const navvy = await connectTo({ servers: nats.url });
  for (let i = 1; i <= (options.agents ?? 1); i++) {
    const agent = await startAgent({
      connection: { servers: nats.url },
      name: `agent-${i}`,
      slots: options.slots ?? 2,
      serviceSlots: 2,
      gpus: "none",
      workDir: join(folder.path, "agents"),
      leaseMs: 4_000,
      log: pino({ level: "silent" }),
    });
    closers.push(() => agent.stop({ now: true }));
  }
  const close = async () => {
    for (const step of closers.reverse()) await step();
  };
  return { nats, navvy, folder: folder.path, [Symbol.asyncDispose]: close };
}

/** A template whose program is a line of JavaScript with `task` in it. */
const template = (code: string, options: Partial<Parameters<typeof Task.create>[0]> = {}) =>
  Task.create({
    name: "template",
    command: ["node", "--input-type=module", "-e", `import { task } from "navvy/task"; ${code}`],
    ...options,
  });

const SCORE = `
  const lr = task.param("General/lr", 0);
  for (let epoch = 1; epoch <= 3; epoch++) task.scalar("loss", 1 / (lr * epoch), { step: epoch });
  task.output("lr", lr);
  await task.artifact("model.json", new TextEncoder().encode(JSON.stringify({ lr })));`;

/** A folder with a program that imports `navvy/controller` as an installed one would. */
async function program(folder: string, code: string, name = "main.mjs"): Promise<string> {
  const home = join(folder, "my program");
  await mkdir(join(home, "node_modules"), { recursive: true });
  await symlink(ROOT, join(home, "node_modules", "navvy"), "dir");
  const file = join(home, name);
  await writeFile(file, `import { Task, waitAll } from "navvy/controller";\n${code}`);
  return file;
}

const byHand = (file: string, nats: Nats, options: Options = {}) =>
  execa("node", [file], { env: { NAVVY_SERVER: nats.url }, reject: false, timeout: 40_000, ...options } as { reject: false });

const named = (navvy: Navvy, name: string) => eventually(`a task named ${name}`, async () => (await navvy.tasks.list({ name }))[0]);

describe("a fleet seen by a controller", () => {
  test("a clone runs with its own parameters, and its metrics, outputs and artifacts come back", async () => {
    await using it = await fleet();
    const base = await template(SCORE, { parameters: { "General/lr": 0.5, "General/seed": 1 } });
    const clone = await Task.clone(base, { name: "lr 0.1", parameters: { "General/lr": 0.1 } });
    await clone.setParameters({ "General/epochs": 3 });
    expect([clone.getParameter("lr"), clone.getParameter("General/seed"), clone.getParameter("Data/none", 7)]).toEqual([0.1, 1, 7]);
    await Task.enqueue(clone, "default");
    await clone.wait({ timeoutMs: 20_000 });

    expect([clone.status, clone.outcome, clone.outputs]).toEqual(["completed", { kind: "exited", code: 0 }, { lr: 0.1 }]);
    expect(clone.metrics.get("loss")).toMatchObject({ last: 1 / (0.1 * 3), lastStep: 3, max: 10, maxStep: 1, count: 3 });
    expect((await clone.metrics.series("loss")).map((point) => point.step)).toEqual([1, 2, 3]);
    expect(clone.artifacts.names).toEqual(["model.json"]);
    const model = clone.artifacts.get("model.json");
    expect(await model.json()).toEqual({ lr: 0.1 });
    const file = await model.download(join(it.folder, "results"));
    expect(await readFile(file, "utf8")).toBe('{"lr":0.1}');
    expect(() => clone.artifacts.get("modell.json")).toThrow('did you mean "model.json"');
    expect((await Task.get(base.id)).status).toBe("draft");
  });

  test("an artifact of one task is an input file of the next", async () => {
    await using _it = await fleet();
    const made = await template(SCORE, { parameters: { "General/lr": 2 }, queue: "default" });
    await made.wait({ timeoutMs: 20_000 });
    const next = await template(
      `import { readFileSync } from "node:fs"; task.output("got", readFileSync(task.input("best.json"), "utf8"));`,
    );
    await next.setInput("best.json", made.artifacts.get("model.json"));
    await (await next.enqueue("default")).wait({ timeoutMs: 20_000 });
    expect(next.outputs).toEqual({ got: '{"lr":2}' });
    expect(next.record.spec.inputs["best.json"]?.from).toEqual({ task: made.id, artifact: "model.json" });
  });

  test("a task is found by id, by suffix, by name and by project and name, or not at all", async () => {
    await using _it = await fleet({ agents: 0 });
    const made = await Task.create({ name: "train", project: "iris", command: ["true"] });
    for (const reference of [made.id, made.id.slice(-8), "train", "iris/train", { name: "train", project: "iris" }]) {
      expect((await Task.get(reference)).id).toBe(made.id);
    }
    await expect(Task.get("trian")).rejects.toMatchObject({ code: "not_found" });
    expect(await Task.find("trian")).toBeUndefined();
  });

  test("only a task with a key may be on its way already when it is changed and enqueued", async () => {
    await using it = await fleet();
    const base = await template(SCORE, { parameters: { "General/lr": 1 } });
    const first = await Task.clone(base, { key: "run-1", name: "run 1" });
    await first.setParameters({ "General/lr": 4 });
    await (await first.enqueue("default")).wait({ timeoutMs: 20_000 });

    const again = await Task.clone(base, { key: "run-1", name: "run 1" });
    await again.setParameters({ "General/lr": 9 });
    await again.enqueue("default");
    expect([again.id, again.status, again.getParameter("lr"), again.record.attempt]).toEqual([first.id, "completed", 4, 1]);
    expect(await it.navvy.tasks.list({ name: "run 1" })).toHaveLength(1);

    const keyless = await Task.clone(base, { queue: "default" });
    await expect(keyless.enqueue("default")).rejects.toMatchObject({ code: "illegal_move" });
    await expect(keyless.setParameters({ "General/lr": 1 })).rejects.toMatchObject({ code: "not_draft" });
    await keyless.wait({ timeoutMs: 20_000 });
  });

  test("waitAny gives the first that ends, waitAll all of them however they ended", async () => {
    await using _it = await fleet({ slots: 3 });
    const slow = await template(`process.on("SIGTERM", () => process.exit(3)); setInterval(() => {}, 1000);`, {
      name: "slow",
      queue: "default",
    });
    const failing = await template(`process.exit(7);`, { name: "failing", queue: "default" });
    const first = await waitAny([slow, failing], { timeoutMs: 20_000 });
    expect([first.name, first.status, first.outcome?.code]).toEqual(["failing", "failed", 7]);
    await expect(slow.wait({ timeoutMs: 50 })).rejects.toMatchObject({ code: "timeout" });
    await slow.abort();
    await waitAll([slow, failing], { timeoutMs: 20_000 });
    expect([slow.status, failing.status]).toEqual(["aborted", "failed"]);
  });

  test("a wait outlives a restart of NATS, and so does the next request", async () => {
    await using it = await fleet();
    const base = await template(`setTimeout(() => {}, 3000);`);
    const child = await Task.clone(base, { queue: "default" });
    const ended = child.wait({ timeoutMs: 50_000 });
    await it.nats.kill("SIGKILL");
    const asked = Task.clone(base, { key: "while it is away" });
    await it.nats.restart();
    expect((await asked).status).toBe("draft");
    expect((await ended).status).toBe("completed");
  });
});

describe("a program run by hand", () => {
  const waits = `
    const me = await Task.init({ name: "by hand", project: "tests", parameters: { "General/n": 3 } });
    me.log.scalar("score", 0.5); me.log.scalar("score", 0.75); me.log.progress(1, 2, "runs"); me.log.output("n", me.getParameter("n"));
    await me.log.artifact("notes.txt", new TextEncoder().encode("hello"));`;

  test("is a running task while it runs and completed when it is done, without being told", async () => {
    await using it = await fleet({ agents: 0 });
    const file = await program(
      it.folder,
      `${waits}\nawait new Promise((resolve) => process.stdin.once("data", resolve)); process.stdin.destroy();`,
    );
    const child = byHand(file, it.nats);
    const record = await named(it.navvy, "by hand");
    await it.navvy.tasks.wait(record.id, { until: (task) => task.status === "running", timeoutMs: 10_000 });
    child.stdin?.write("go\n");
    expect((await child).exitCode).toBe(0);
    const task = await Task.get(record.id);
    expect([task.status, task.record.taskType, task.outcome]).toEqual(["completed", "controller", { kind: "exited", code: 0 }]);
    expect([task.metrics.get("score")?.max, task.outputs, task.record.reported.progress]).toEqual([
      0.75,
      { n: 3 },
      { n: 1, of: 2, unit: "runs" },
    ]);
    expect((await task.metrics.series("score")).map((point) => point.value)).toEqual([0.5, 0.75]);
    expect(await task.artifacts.get("notes.txt").text()).toBe("hello");
    expect(await it.navvy.fleet.agents()).toEqual([]);
  });

  test("is failed when it throws, with the message in its outcome", async () => {
    await using it = await fleet({ agents: 0 });
    const file = await program(it.folder, `await Task.init({ name: "broken" }); throw new Error("no data");`);
    const { exitCode, stderr } = await byHand(file, it.nats);
    expect([exitCode, stderr.includes("Error: no data")]).toEqual([1, true]);
    expect(await named(it.navvy, "broken")).toMatchObject({ status: "failed", outcome: { kind: "exited", code: 1, reason: "no data" } });
  });

  test("is aborted by Ctrl-C while it waits, and its wait says so", async () => {
    await using it = await fleet({ agents: 0 });
    const file = await program(
      it.folder,
      `await Task.init({ name: "interrupted" });
       const child = await Task.create({ name: "never run", command: ["true"], queue: "default" });
       const ended = child.wait();
       console.log("waiting");
       await ended.catch((error) => { console.log(error.code, error.name); throw error; });`,
    );
    const child = byHand(file, it.nats);
    await once(child.stdout as NodeJS.ReadableStream, "data");
    child.kill("SIGINT");
    const { exitCode, stdout, stderr } = await child;
    expect([exitCode, stdout, stderr]).toEqual([130, "waiting\naborted NavvyError", ""]);
    expect(await named(it.navvy, "interrupted")).toMatchObject({
      status: "aborted",
      outcome: { kind: "aborted", reason: "SIGINT was received" },
    });
  });

  test("ends when someone else aborts its task", async () => {
    await using it = await fleet({ agents: 0 });
    const file = await program(it.folder, `await Task.init({ name: "unwanted" }); setInterval(() => {}, 1000);`);
    const child = byHand(file, it.nats);
    const record = await named(it.navvy, "unwanted");
    await it.navvy.tasks.wait(record.id, { until: (task) => task.status === "running", timeoutMs: 10_000 });
    await (await Task.get(record.id)).abort("not needed");
    expect((await child).exitCode).toBe(143);
    expect((await Task.get(record.id)).status).toBe("aborted");
  });

  test("goes on as a controller on the services queue when it says executeRemotely", async () => {
    await using it = await fleet();
    const file = await program(
      it.folder,
      `const me = await Task.init({ name: "wanderer", parameters: { "General/n": 5 } });
       await me.executeRemotely("services");
       const child = await Task.create({ name: "child", command: ["true"], queue: "default", key: "child" });
       await child.wait();
       me.log.output("child", child.status); me.log.output("args", process.argv.slice(2)); me.log.output("n", me.getParameter("n"));`,
    );
    const { exitCode, stderr, stdout } = await byHand(file, it.nats, { node: false, extendEnv: true });
    expect([exitCode, stdout, stderr.split("\n").length]).toEqual([0, "", 1]);
    const id = /goes on as task (\w{26}) on queue services \(navvy logs -f /.exec(stderr)?.[1] ?? stderr;
    const remote = await (await Task.get(id)).wait({ timeoutMs: 30_000 });
    expect([remote.status, remote.record.taskType, remote.outputs]).toEqual([
      "completed",
      "controller",
      { child: "completed", args: [], n: 5 },
    ]);
    expect((await it.navvy.tasks.list({ name: "child" }))[0]?.parent).toBe(id);
  });
});

describe("a controller on the services queue", () => {
  async function sent(folder: string, code: string, options: Partial<Parameters<typeof Task.create>[0]> = {}) {
    const file = await program(folder, code);
    return Task.create({
      name: "controller",
      type: "controller",
      command: ["node", "main.mjs"],
      code: join(file, ".."),
      queue: "services",
      ...options,
    });
  }

  test("that dies half way attaches to its children when it runs again, and starts none twice", async () => {
    await using it = await fleet();
    const base = await template(SCORE, { parameters: { "General/lr": 1 } });
    const controller = await sent(
      it.folder,
      `const me = await Task.init({ name: "controller" });
       const children = [];
       for (const lr of [1, 2, 3]) {
         const child = await Task.clone(${JSON.stringify(base.id)}, { name: "child", key: "lr-" + lr });
         await child.setParameters({ "General/lr": lr });
         children.push(await child.enqueue("default"));
         if (lr === 2 && me.record.attempt === 1) process.kill(process.pid, "SIGKILL");
       }
       await waitAll(children);
       me.log.output("rates", children.map((child) => child.outputs.lr));`,
      { retries: { limit: 1, backoffMs: 0 } },
    );
    await controller.wait({ timeoutMs: 40_000 });
    expect([controller.status, controller.record.attempt, controller.outputs]).toEqual(["completed", 2, { rates: [1, 2, 3] }]);
    const children = await it.navvy.tasks.list({ parent: controller.id });
    expect(children.map((child) => [child.attempt, child.ticket, child.status])).toEqual(Array(3).fill([1, 1, "completed"]));
  });

  test("hears of an abort by the end of its wait, and may abort its children then", async () => {
    await using it = await fleet();
    const controller = await sent(
      it.folder,
      `const me = await Task.init({ name: "controller" });
       const child = await Task.create({ name: "endless", command: ["sleep", "1000"], queue: "default", key: "endless" });
       const ended = child.wait();
       me.log.output("waits", true);
       await ended.catch(async (error) => { console.log(error.code); await child.abort("controller aborted"); });`,
    );
    const child = await named(it.navvy, "endless");
    await it.navvy.tasks.wait(child.id, { until: (task) => task.phase === "executing", timeoutMs: 20_000 });
    await it.navvy.tasks.wait(controller.id, { until: (task) => task.reported.outputs["waits"] === true, timeoutMs: 20_000 });
    await (await controller.abort()).wait({ timeoutMs: 20_000 });
    expect([controller.status, controller.outcome]).toMatchObject(["aborted", { kind: "aborted", code: 143 }]);
    expect((await it.navvy.tasks.wait(child.id, { timeoutMs: 20_000 })).status).toBe("aborted");
  });
});
