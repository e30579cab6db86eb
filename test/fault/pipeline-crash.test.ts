import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { connect, type Journal, type Navvy } from "../../broker/index.js";
import { type CheckedGraph, checkGraph } from "../../controller/graph/index.js";
import { PipelineRun, type RunResult } from "../../controller/index.js";
import { Engine } from "../../controller/pipeline/engine.js";
import { OwnProgram } from "../../controller/pipeline/program.js";
import type { Report } from "../../controller/report.js";
import type { TaskRecord } from "../../protocol/index.js";
import { spawnAgent } from "../support/agent.js";
import { controllerFleet, program } from "../support/controller-fleet.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";

const STEPS = 60;
const WIDTH = 10;
/** `NAVVY_TEST_KILLS=all` kills a real process at every write, which takes minutes; by default at some of them. */
const KILLS_ALL = process.env["NAVVY_TEST_KILLS"] === "all";
const BUCKET = fileURLToPath(new URL("../../dist/broker/bucket.js", import.meta.url));

/** Ten chains of six steps; each step appends to a file of its own. */
const PIPELINE = `
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { PipelineController } from "navvy/controller";
const folder = process.env.COUNTS ?? "/nowhere";
const pipeline = new PipelineController({ name: "crash" });
pipeline.addParameter("folder", { default: folder });
for (let n = 0; n < ${STEPS}; n++) {
  const parents = n >= ${WIDTH} ? ["step-" + (n - ${WIDTH})] : [];
  pipeline.addStep({ name: "step-" + n, parents, script: "echo ran >> \${params.folder}/step-" + n });
}
`;

/** Kills its process at every write of the journal once, before it or after it by turns. */
const KILLER = `
import { Bucket } from ${JSON.stringify(BUCKET)};
import { setTimeout as delay } from "node:timers/promises";
const kills = pipeline.graph.parameters.folder.default + "/kills";
const every = Number(process.env.EVERY);
let seen = 0;
const die = (name) => {
  if (existsSync(kills + "/" + name) || ++seen % every !== 0) return;
  writeFileSync(kills + "/" + name, "");
  process.kill(process.pid, "SIGKILL");
};
for (const verb of ["create", "update"]) {
  const write = Bucket.prototype[verb];
  Bucket.prototype[verb] = async function (key, value, revision) {
    if (!this.name.endsWith("_journal") || !existsSync(kills)) return write.call(this, key, value, revision);
    const [, own] = key.split(".");
    const name = (own + "-" + (value.value?.state ?? "noted")).replace(/[^A-Za-z0-9-]/g, "_");
    const isBefore = name.length % 2 === 0;
    if (isBefore) die(name);
    const done = await write.call(this, key, value, revision);
    if (!isBefore) die(name);
    return done;
  };
}
`;

test("cut off at every write of its journal, a pipeline goes on, and no step runs twice", async () => {
  await using it = await controllerFleet({ slots: 4 });
  const counts = join(it.folder, "counts");
  await mkdir(counts);
  const graph = checkGraph({
    type: "navvy.pipeline.v1",
    name: "cut",
    steps: Array.from({ length: STEPS }, (_, n) => ({
      name: `step-${n}`,
      parents: n >= WIDTH ? [`step-${n - WIDTH}`] : [],
      action: { kind: "task" as const, spec: {}, script: `echo ran >> '${counts}/step-${n}'` },
    })),
  });
  const own = await it.navvy.tasks.create({ name: "cut", taskType: "controller" });
  const died = new Set<string>();
  let result: RunResult | undefined;
  for (let lives = 0; result === undefined; lives++) {
    expect(lives).toBeLessThan(1_000);
    result = await oneLife({ url: it.nats.url, own, graph, died });
  }
  expect(result.state).toBe("completed");
  const children = await it.navvy.tasks.list({ parent: own.id });
  const ran = await Promise.all(children.map(({ name }) => readFile(join(counts, name), "utf8")));
  expect([children.length, ran.every((text) => text === "ran\n"), children.every(({ attempt }) => attempt === 1)]).toEqual([
    STEPS,
    true,
    true,
  ]);
  // Before each write; after it too, but where another chain's write came in between and was the last thing that this life did.
  const points = ["run", "graph", ...Array.from({ length: STEPS }, (_, n) => `step:step-${n} completed`)];
  expect(points.filter((point) => ![...died].some((where) => where.trim() === `before ${point}`))).toEqual([]);
  expect([...died].filter((where) => where.startsWith("after")).length).toBeGreaterThan(WIDTH);
}, 240_000);

test("a program that was changed and has new steps goes on: what is over is not run again", async () => {
  await using it = await controllerFleet({ slots: 4 });
  const counts = join(it.folder, "counts");
  await mkdir(counts);
  const step = (name: string, parents: string[] = []) => ({
    name,
    parents,
    action: { kind: "task" as const, spec: {}, script: `echo ran >> '${counts}/${name}'` },
  });
  const graph = (...steps: ReturnType<typeof step>[]) => checkGraph({ type: "navvy.pipeline.v1", name: "changed", steps });
  const own = await it.navvy.tasks.create({ name: "changed", taskType: "controller" });
  const life = (of: CheckedGraph) => oneLife({ url: it.nats.url, own, graph: of, died: new EveryPlace() });
  await life(graph(step("a"), step("b", ["a"])));
  const after = await life(graph(step("a"), step("new"), step("b", ["a", "new"]), step("c", ["b"])));
  expect(after?.state).toBe("completed");
  for (const name of ["a", "b", "new", "c"]) expect(await readFile(join(counts, name), "utf8")).toBe("ran\n");
});

test("a run that is to stop when it goes on keeps what is over, and ends what an earlier process had running", async () => {
  await using it = await controllerFleet({ slots: 2 });
  const step = (name: string, parents: string[], script: string) => ({
    name,
    parents,
    action: { kind: "task" as const, spec: { graceMs: 500 }, script },
  });
  const graph = checkGraph({
    type: "navvy.pipeline.v1",
    name: "stopped",
    steps: [step("a", [], "true"), step("b", ["a"], "sleep 60"), step("c", ["b"], "true")],
  });
  const own = await it.navvy.tasks.create({ name: "stopped", taskType: "controller" });
  const report = new Proxy({} as Report, { get: () => () => undefined });
  const open = async (navvy: Navvy) =>
    Engine.open({ navvy, own: { record: own, report }, graph, params: {}, program: new OwnProgram(navvy, own) });
  const mortal = await connect({ servers: it.nats.url });
  const first = await open(mortal);
  void first.toEnd().catch(() => undefined);
  const running = async () => (await it.navvy.tasks.list({ parent: own.id, name: "b" })).find(({ status }) => status === "running");
  const b = await eventually("the second step runs", running, { timeoutMs: 30_000 });
  await mortal.bus.nc.close();
  const second = await open(it.navvy);
  second.stop("it is late");
  const result = await second.toEnd();
  const states = Object.fromEntries([...second.steps.values()].map(({ name, state }) => [name, state]));
  expect([result.state, states]).toEqual(["failed", { a: "completed", b: "aborted", c: "skipped" }]);
  expect((await it.navvy.tasks.get(b.id)).status).toBe("aborted");
});

/** Where it may die no more: a life that is whole. */
class EveryPlace extends Set<string> {
  override has(): boolean {
    return true;
  }
}

/**
 * One process of a controller as NATS sees it: at a write of the journal at which none has died yet its connection is gone, and nothing of
 * it happens any more. Undefined when it died.
 */
async function oneLife(of: { url: string; own: TaskRecord; graph: CheckedGraph; died: Set<string> }): Promise<RunResult | undefined> {
  const navvy = await connect({ servers: of.url });
  let died = () => {};
  const death = new Promise<undefined>((resolve) => (died = () => resolve(undefined)));
  const never = new Promise<never>(() => {});
  let isDead = false;
  const die = async (where: string) => {
    if (isDead) return never;
    if (of.died.has(where)) return;
    isDead = true;
    of.died.add(where);
    await navvy.bus.nc.close();
    died();
    return never;
  };
  const journal = navvy.journals.of(of.own.id);
  const dying = new Proxy(journal, {
    get(target, name: keyof Journal) {
      const member = target[name] as unknown;
      if (typeof member !== "function") return member;
      const call = member.bind(target) as (...args: unknown[]) => Promise<unknown>;
      if (name !== "set" && name !== "put") return call;
      return async (key: string, value: { state?: string }) => {
        const point = `${key} ${value?.state ?? ""}`;
        await die(`before ${point}`);
        const done = await call(key, value);
        await die(`after ${point}`);
        return done;
      };
    },
  });
  const report = new Proxy({} as Report, { get: () => () => undefined });
  const mortal = {
    ...navvy,
    journals: { of: (task: string) => (task === of.own.id ? dying : navvy.journals.of(task)) },
  } as unknown as Navvy;
  const living = async () => {
    const engine = await Engine.open({
      navvy: mortal,
      own: { record: of.own, report },
      graph: of.graph,
      params: {},
      program: new OwnProgram(mortal, of.own),
    });
    return engine.toEnd();
  };
  const life = living();
  life.catch(() => undefined); // it may notice that it is dead
  const result = await Promise.race([life, death]);
  if (!isDead) await navvy.close();
  return result;
}

test("killed with SIGKILL again and again at writes of its journal, a pipeline goes on, and no step runs twice", async () => {
  await using it = await controllerFleet({ slots: 4 });
  const counts = join(it.folder, "counts");
  await mkdir(join(counts, "kills"), { recursive: true });
  process.env["COUNTS"] = counts;
  const file = await program(it.folder, `${PIPELINE}${KILLER}await pipeline.start(); await pipeline.wait();`);
  // A task that runs the program where it lies: the folder of counts must be the same for all of its processes.
  const draft = await it.navvy.tasks.create({
    name: "crash",
    taskType: "controller",
    spec: { command: ["node", file], env: { COUNTS: counts, EVERY: KILLS_ALL ? "1" : "40" }, lostLimit: 1_000 },
  });
  const run = new PipelineRun(it.navvy, draft);
  await run.enqueue();
  await run.wait({ timeoutMs: KILLS_ALL ? 1_700_000 : 110_000 });
  const kills = await readdir(join(counts, "kills"));
  const children = await it.navvy.tasks.list({ parent: run.id });
  const ran = await Promise.all(children.map(({ name }) => readFile(join(counts, name), "utf8")));
  expect({ status: run.record.status, children: children.length, once: ran.every((text) => text === "ran\n") }).toEqual({
    status: "completed",
    children: STEPS,
    once: true,
  });
  expect(children.every(({ attempt }) => attempt === 1)).toBe(true);
  expect(kills.length).toBeGreaterThanOrEqual(KILLS_ALL ? 2 * STEPS : 2);
  expect(run.record.attempt).toBe(kills.length + 1);
}, 1_800_000);

test("when its whole machine goes, it goes on at another agent: what runs is taken up, what has finished stays", async () => {
  await using nats = await startNats();
  await using folder = await tempFolder();
  await using navvy = await connect({ servers: nats.url });
  await using first = await spawnAgent(nats, { name: "first", queues: ["none"], services: 1, lease: "2s" });
  await using _worker = await spawnAgent(nats, { name: "worker", slots: 2, services: 0, lease: "2s" });
  const count = (name: string) => readFile(join(folder.path, name), "utf8").catch(() => "");
  const script = (name: string, more = "") => `echo ran >> '${folder.path}/${name}'; ${more}`;
  const run = await PipelineRun.create(navvy, {
    type: "navvy.pipeline.v1",
    name: "lost",
    steps: [
      { name: "done", action: { kind: "task", spec: {}, script: script("done") } },
      {
        name: "runs",
        parents: ["done"],
        action: { kind: "task", spec: {}, script: script("runs", `while ! test -e '${folder.path}/go'; do sleep 0.1; done`) },
      },
      { name: "last", parents: ["runs"], action: { kind: "task", spec: {}, script: script("last") } },
    ],
  });
  await run.enqueue();
  await eventually("its second step runs", async () => (await count("runs")) !== "", { timeoutMs: 30_000 });
  first.kill("SIGKILL");
  await first.exited;
  await using _second = await spawnAgent(nats, { name: "second", queues: ["none"], services: 1, lease: "2s" });
  await eventually("it goes on elsewhere", async () => (await run.reload()).record.owner?.agent === "second", { timeoutMs: 60_000 });
  await writeFile(join(folder.path, "go"), "");
  await run.wait({ timeoutMs: 60_000 });
  expect([run.record.status, run.record.attempt]).toEqual(["completed", 2]);
  expect(await Promise.all(["done", "runs", "last"].map(count))).toEqual(["ran\n", "ran\n", "ran\n"]);
}, 120_000);
