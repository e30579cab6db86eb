import { existsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SpawnerClient } from "../../agent/host/spawner-client.js";
import { own, task } from "../fixtures/processes/task.js";
import { aliveIn, aliveWith, cgroupOf, isHalted, written } from "../fixtures/zoo/observer.js";
import { take, type Way, waysHere } from "../fixtures/zoo/ways.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";

/** What each animal does is said in its file. `count`: the processes it must have shown before it is ended. */
interface Animal {
  program: string;
  count: number;
  /** Default: every way. */
  only?: Way;
  argv?: string[];
  maxPids?: number;
}

const ANIMALS: Animal[] = [
  { program: "double-fork.sh", count: 2 },
  { program: "setsid.sh", count: 3 },
  { program: "nohup.sh", count: 2 },
  { program: "ignores-term.sh", count: 2 },
  { program: "stopped.sh", count: 2 },
  { program: "closes-output.sh", count: 2 },
  { program: "forks-on.py", count: 10 },
  { program: "forgets-its-key.sh", count: 2, only: "by cgroup" },
  { program: "leaves-its-cgroup.sh", count: 2, only: "by cgroup", argv: [cgroupOf("self")] },
  { program: "fork-bomb.py", count: 40, only: "by cgroup", maxPids: 64 },
];

const GRACE_MS = 300;
/** After the SIGKILL nothing may live longer. */
const DEAD_WITHIN_MS = 1_000;
const ways = await waysHere();

let folder: Awaited<ReturnType<typeof tempFolder>>;
let spawner: SpawnerClient;
beforeEach(async () => {
  folder = await tempFolder();
});
afterEach(async () => {
  const { cgroup } = spawner;
  await spawner.close();
  expect(cgroup !== null && existsSync(cgroup), "a cgroup was left behind").toBe(false);
  await folder[Symbol.asyncDispose]();
});

async function letLoose({ program, argv = [], maxPids, count }: Animal): Promise<string> {
  const key = own(program);
  const numbers = join(folder.path, "numbers");
  const command = [join(import.meta.dirname, "../fixtures/zoo", program), numbers, ...argv];
  await spawner.start({ ...task(folder.path, key, command), maxPids });
  await eventually(`${program} has shown itself`, () => written(numbers).length >= count);
  return key;
}

const survivors = (key: string) => [...aliveWith(key), ...aliveIn(folder.path)];

describe.each(ways)("trees held together %s", (way) => {
  beforeEach(async () => {
    take(way);
    spawner = await SpawnerClient.open({ workDir: folder.path, agent: "zoo" });
  });
  const here = ANIMALS.filter(({ only = way }) => only === way);

  test.each(here)("nothing of $program lives a second after an abort and its grace", async (animal) => {
    if (animal.maxPids !== undefined) expect(spawner.canLimitPids).toBe(true);
    const key = await letLoose(animal);
    expect(survivors(key).length).toBeGreaterThan(0);
    spawner.end(key, { graceMs: GRACE_MS, by: "abort" });
    // Its main process ends with the SIGKILL, or by itself before it: from then on the rest has its second.
    expect((await spawner.exited(key)).endedBy).toBe("abort");
    await eventually("nothing of it lives", () => survivors(key).length === 0, { timeoutMs: DEAD_WITHIN_MS });
    await spawner.gone(key);
    expect(survivors(key)).toEqual([]);
  });

  test.each(here)("nothing of $program lives a second after it is killed while frozen", async (animal) => {
    const key = await letLoose(animal);
    spawner.lease(0);
    await eventually("they are frozen", () => spawner.isFrozen);
    void spawner.kill(key);
    await eventually("nothing of it lives", () => survivors(key).length === 0, { timeoutMs: DEAD_WITHIN_MS });
    await spawner.gone(key);
    expect(survivors(key)).toEqual([]);
  });
});

test.runIf(ways.includes("by cgroup"))("a fork bomb stays under its limit and keeps nobody from work", async () => {
  take("by cgroup");
  spawner = await SpawnerClient.open({ workDir: folder.path, agent: "zoo" });
  const key = await letLoose(ANIMALS.find(({ maxPids }) => maxPids !== undefined)!);
  for (let i = 0; i < 10; i++) {
    await spawner.start(task(folder.path, own(`work.${i}`), ["true"]));
    expect(await spawner.exited(own(`work.${i}`))).toEqual({ code: 0, signal: null });
    expect(aliveWith(key).length).toBeLessThanOrEqual(64);
  }
  await spawner.kill(key);
});

test.runIf(ways.includes("by cgroup"))(
  "where no more cgroups are to be had trees run all the same, and nothing of them is left",
  async () => {
    take("by cgroup");
    spawner = await SpawnerClient.open({ workDir: folder.path, agent: "zoo" });
    writeFileSync(join(spawner.cgroup!, "cgroup.max.descendants"), "2");
    const loose: { key: string; numbers: string }[] = [];
    for (const name of ["one", "two", "three", "four"]) {
      const numbers = join(folder.path, name);
      await spawner.start(task(folder.path, own(name), [join(import.meta.dirname, "../fixtures/zoo/ignores-term.sh"), numbers]));
      await eventually(`${name} has shown itself`, () => written(numbers).length === 2);
      loose.push({ key: own(name), numbers });
    }
    expect(cgroupOf(written(loose[3]!.numbers)[0]!)).toBe(dirname(spawner.cgroup!));
    spawner.lease(0);
    await eventually("all are frozen", () => loose.flatMap(({ numbers }) => written(numbers)).every(isHalted));
    spawner.lease(null);
    for (const { key } of loose) spawner.end(key, { graceMs: 0, by: "abort" });
    await Promise.all(loose.map(({ key }) => spawner.gone(key)));
    expect(loose.flatMap(({ key }) => survivors(key))).toEqual([]);
  },
);

test.each(ways)("a spawner outlives the trees that it kills as soon as it has started them, held together %s", async (way) => {
  take(way);
  spawner = await SpawnerClient.open({ workDir: folder.path, agent: "zoo" });
  for (let i = 0; i < 20; i++) {
    const key = own(`brief.${i}`);
    await spawner.start(task(folder.path, key, ["sleep", "1000"]));
    if (i % 2 === 0) spawner.lease(0);
    await spawner.kill(key);
    expect(await spawner.exited(key)).toMatchObject({ signal: "SIGKILL", endedBy: "kill" });
    spawner.lease(null);
  }
});
