import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Task } from "../../controller/index.js";
import type { TaskRecord } from "../../protocol/index.js";
import { controllerFleet } from "../support/controller-fleet.js";

const EXAMPLE = fileURLToPath(new URL("../../examples/python-controller", import.meta.url));

let fleet: Awaited<ReturnType<typeof controllerFleet>>;
beforeAll(async () => {
  fleet = await controllerFleet({ slots: 3, services: 1 });
});
afterAll(() => fleet[Symbol.asyncDispose]());

async function sent(code: string, options: Partial<Parameters<typeof Task.create>[0]> = {}) {
  return Task.create({
    ...{ name: "controller", type: "controller", queue: "services", retries: { limit: 1, backoffMs: 0 } },
    command: ["python3", "-c", `import navvy, json, os, signal\n${code}`],
    ...options,
  });
}

const textOf = async (task: Task) => {
  const parts: string[] = [];
  for await (const piece of fleet.navvy.logs.read(task.record)) parts.push(Buffer.from(piece.data).toString());
  return parts.join("");
};

test("the example searches, trains the best again until it is good enough, and hands its model on", async () => {
  const search = await Task.create({
    ...{ name: "search", type: "controller", command: ["python3", "controller.py"], code: EXAMPLE, queue: "services" },
    parameters: { "General/wanted": 0.05 },
  });
  await search.wait({ timeoutMs: 60_000 });
  expect([search.status, await textOf(search)]).toEqual(["completed", ""]);
  const children = (await fleet.navvy.tasks.list({ parent: search.id })).toReversed();
  expect(children.map(({ name, status }) => [name, status])).toEqual([
    ["train", "draft"],
    ...["train lr=0.01", "train lr=0.1", "train lr=0.5", "train for 10 epochs", "judge"].map((name) => [name, "completed"]),
  ]);
  expect(search.outputs).toMatchObject({ best: { task: children[4]?.id, lr: 0.1, epochs: 10, loss: 1 / 31 } });
  expect(search.record).toMatchObject({
    childrenOnAbort: "abort",
    reported: { progress: { n: 3, of: 3 }, artifacts: [{ name: "best.json" }] },
  });
}, 90_000);

test("a Python controller that is killed finds its children and its steps again, and may park between", async () => {
  await mkdir(join(fleet.folder, "marks"));
  const mark = join(fleet.folder, "marks", "steps");
  await writeFile(mark, "");
  const controller = await sent(`
def once():
    open(${JSON.stringify(mark)}, "a").write("x")
    return {"of": navvy.attempt}
first = navvy.step("a step/with any name", once)
gate = navvy.Task.create("gate", ["true"], key="gate", queue="later")
runs = [navvy.Task.create("run", ["sh", "-c", "echo n=json:%d >> $NAVVY_OUTPUT" % n], key="run %d" % n) for n in range(3)]
for run in runs:
    run.enqueue("default")
    if navvy.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
navvy.wait_all(runs, timeout=60)
try:
    gate.wait(timeout=0.1)
except TimeoutError as error:
    navvy.note(str(error))
navvy.output("ended", [run.outputs["n"] for run in runs])
navvy.wait_any([gate], park_after=0.5)
navvy.output("first", [first, gate.status, navvy.attempt])`);
  const parked = await fleet.navvy.tasks.wait(controller.id, { until: ({ parked }) => parked !== undefined, timeoutMs: 60_000 });
  expect(parked).toMatchObject({ attempt: 2, losses: 1, reported: { outputs: { ended: [0, 1, 2] } } });
  await fleet.navvy.tasks.abort(parked.parked?.on[0] ?? "");
  await controller.wait({ timeoutMs: 60_000 });
  expect([controller.outputs, await textOf(controller)]).toEqual([{ ended: [0, 1, 2], first: [{ of: 1 }, "aborted", 3] }, ""]);
  const children: TaskRecord[] = await fleet.navvy.tasks.list({ parent: controller.id, name: "run" });
  expect(children.map(({ attempt, status }) => [attempt, status])).toEqual(Array(3).fill([1, "completed"]));
}, 90_000);

test("a Python controller waits for one of more tasks than a request may name, or a wish to park", async () => {
  const controller = await sent(`
drafts = [navvy.Task.create("draft %d" % n, ["true"]) for n in range(501)]
done = navvy.Task.create("done", ["true"], queue="default")
many = drafts + [done]
navvy.output("any", navvy.wait_any(many, timeout=60, park_after=0.1).name)
navvy.output("attempt", navvy.attempt)`);
  await controller.wait({ timeoutMs: 100_000 });
  expect([controller.outputs, await textOf(controller)]).toEqual([{ any: "done", attempt: 1 }, ""]);
}, 120_000);

test("what can not be done is said with its cause; who is no controller may not drive others", async () => {
  const tries = `
def failure(act):
    try:
        return act()
    except navvy.NavvyError as error:
        return [error.code, str(error).split("\\n")[0]]
template = navvy.Task.create("template", ["true"], parameters={"General/lr": 1})
print(json.dumps([
    failure(lambda: navvy.Task.get("templat")),
    failure(lambda: navvy.Task.create("x", ["true"], paramters={})),
    failure(lambda: template.set_input("m", template, "model.pt")),
    failure(lambda: template.meets("loss >")),
    failure(lambda: navvy.Task.clone(template, queue="servces")),
    failure(lambda: navvy.Task.clone(template).enqueue("default").set_parameters({"lr": 2})),
    failure(lambda: navvy.park()),
    [task.name for task in navvy.Task.find(parent="self", status=["draft"])],
]))`;
  const controller = await sent(tries);
  await controller.wait({ timeoutMs: 60_000 });
  const text = await textOf(controller);
  expect(JSON.parse(text)).toEqual([
    ["not_found", expect.stringContaining("did you mean template?")],
    ["invalid_argument", expect.stringContaining("paramters")],
    ["not_found", expect.stringContaining("model.pt")],
    ["invalid_argument", expect.stringContaining("condition can not be read")],
    ["not_found", expect.stringContaining("services")],
    ["not_draft", expect.any(String)],
    ["invalid_argument", expect.stringContaining("names nothing that would wake it")],
    ["template"],
  ]);
  const plain = await sent(`navvy.Task.get("template")`, { queue: "default", retries: { limit: 0, backoffMs: 0 } });
  await plain.wait({ timeoutMs: 60_000 });
  expect(plain.status).toBe("failed");
  expect(await textOf(plain)).toMatch(/NavvyError: task \w+ may not drive other tasks\nwhy: .*\nfix: .*services/);
}, 90_000);
