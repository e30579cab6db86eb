import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Task, waitAll, waitAny } from "../../controller/index.js";
import { controllerFleet as fleet, named, program, SCORE, template } from "../support/controller-fleet.js";

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
    // Back only when a request without patience has been given up.
    await expect(it.navvy.tasks.get(base.id)).rejects.toMatchObject({ retryable: true });
    await it.nats.restart();
    expect((await asked).status).toBe("draft");
    expect((await ended).status).toBe("completed");
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
