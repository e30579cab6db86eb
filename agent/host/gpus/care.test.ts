import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { eventually } from "../../../test/support/eventually.js";
import { type FakeGpus, fakeGpuList, fakeGpus } from "../../../test/support/fake-gpus.js";
import { Machine } from "../machine.js";
import { GpuCare, type GpuCareParts } from "./care.js";
import { GpuLocks } from "./locks.js";

const path = process.env["PATH"];
const cares: GpuCare[] = [];
afterEach(() => {
  process.env["PATH"] = path;
  for (const care of cares.splice(0)) care.stop();
});

/** An agent's view of the fake GPUs, through the real tool's words. */
async function careOf(fake: FakeGpus, agent: string, change: Partial<GpuCareParts> = {}) {
  process.env["PATH"] = fake.env["PATH"];
  const machine = await Machine.probe({ workDir: fake.folder, gpus: "all", gpuTimeoutMs: 2_000 });
  const locks = await GpuLocks.open({ folder: join(fake.folder, "locks"), agent, agentFolder: `/${agent}`, spawnerPid: process.pid });
  const log = { info: () => {}, warn: () => {} };
  let frees = 0;
  const { gpus } = machine.facts;
  const look = () => machine.lookAtGpus();
  const care = new GpuCare({ gpus, look, locks, onFree: () => frees++, log, settleMs: 300, againMs: 100, ...change });
  cares.push(care);
  const gpu = (index: number) => gpus[index]!;
  return { care, gpu, frees: () => frees, why: (index: number) => care.whyAside(gpu(index)) };
}
const LONG_MS = 10_000;

test("a GPU is given out only after it was just looked at, and to one agent of the host at a time", async () => {
  await using fake = await fakeGpus(fakeGpuList(2));
  const a = await careOf(fake, "a");
  expect(a.care.hold(a.gpu(0), "task-1")).toBeUndefined();
  const b = await careOf(fake, "b");
  await Promise.all([a.care.look(LONG_MS), b.care.look(LONG_MS)]);
  expect(a.care.hold(a.gpu(0), "task-1")).toEqual({ index: 0, vendor: "nvidia", id: "GPU-a", visible: "0" });
  expect(b.care.hold(b.gpu(0), "task-2")).toBeUndefined();
  expect(b.care.hold(b.gpu(1), "task-2")).toMatchObject({ id: "GPU-b" });
  await eventually("the reason names who holds it", () => b.why(0) === "agent a on this host holds it for task task-1");
  a.care.release(a.gpu(0));
  await eventually("the other is told", () => b.why(0) === undefined && b.frees() > 0);
  await b.care.look(LONG_MS);
  expect(b.care.hold(b.gpu(0), "task-2")).toBeDefined();
});

test("nothing is given out while the tool hangs, with that as the reason, and again when it answers", async () => {
  await using fake = await fakeGpus(fakeGpuList(2));
  const { care, gpu, why, frees } = await careOf(fake, "a", {
    look: async () => Promise.reject(new Error("nvidia-smi gave no answer within 2000 ms")),
  });
  await care.look(LONG_MS);
  expect([why(0), why(1)]).toEqual(Array(2).fill("nvidia-smi gave no answer within 2000 ms"));
  expect(care.hold(gpu(0), "t")).toBeUndefined();
  expect(frees()).toBe(0);
});

test("a hung tool holds up whoever asks for no longer than said, and is not asked again beside itself", async () => {
  await using fake = await fakeGpus(fakeGpuList(1));
  const { care, gpu, why } = await careOf(fake, "a");
  await care.look(LONG_MS);
  await fake.hang(true);
  expect(care.hold(gpu(0), "t")).toBeDefined();
  care.release(gpu(0));
  const before = performance.now();
  await care.look(50);
  expect(performance.now() - before).toBeLessThan(1_500);
  expect(care.whyNot(gpu(0))).toBeDefined();
  expect(care.hold(gpu(0), "t")).toBeUndefined();
  await eventually("it is set aside", () => why(0)?.includes("gave no answer within 2000 ms") ?? false);
  await fake.hang(false);
  await eventually("it is well again", () => why(0) === undefined);
  await care.look(LONG_MS);
  expect(care.hold(gpu(0), "t")).toBeDefined();
});

test("a GPU that a foreign process computes on is set aside until it is gone", async () => {
  await using fake = await fakeGpus(fakeGpuList(2));
  await fake.processes([
    { uuid: "GPU-b", pid: 4711, name: "python3" },
    { uuid: "GPU-b", pid: 4712, name: "python3" },
  ]);
  const { care, gpu, why, frees } = await careOf(fake, "a");
  await care.look(LONG_MS);
  expect(why(0)).toBeUndefined();
  expect(why(1)).toBe("process 4711 (python3) computes on it, and 1 more, which is none of navvy's tasks");
  expect(care.hold(gpu(1), "t")).toBeUndefined();
  await fake.processes([]);
  await eventually("it is given back", () => why(1) === undefined && frees() > 0);
});

test("memory that does not come back after a task sets its GPU aside, with the task; it is given back when it has", async () => {
  const gpus = fakeGpuList(1);
  await using fake = await fakeGpus(gpus);
  const { care, gpu, why, frees } = await careOf(fake, "a");
  await care.look(LONG_MS);
  expect(care.hold(gpu(0), "01-TASK7X")).toBeDefined();
  await fake.gpus([{ ...gpus[0]!, usedMib: 40_000 }]);
  expect(why(0)).toBeUndefined();
  care.release(gpu(0));
  expect(care.whyNot(gpu(0))).toBe("its memory is still to come back");
  await eventually("it is set aside", () => why(0) !== undefined);
  expect(why(0)).toMatch(/^39\.1 of its 79\.6 GiB are in use, and no process shows, \d+ s after task TASK7X$/);
  await fake.gpus(gpus);
  await eventually("it is given back", () => why(0) === undefined && frees() > 0);
  await care.look(LONG_MS);
  expect(care.hold(gpu(0), "t")).toBeDefined();
});

test("memory that comes back in a moment is waited for without a word", async () => {
  const gpus = fakeGpuList(1);
  await using fake = await fakeGpus(gpus);
  const { care, gpu, why } = await careOf(fake, "a", { settleMs: 60_000 });
  await care.look(LONG_MS);
  care.hold(gpu(0), "t");
  await fake.gpus([{ ...gpus[0]!, usedMib: 40_000 }]);
  care.release(gpu(0));
  await care.look(LONG_MS);
  expect([why(0), care.hold(gpu(0), "t")]).toEqual([undefined, undefined]);
  await fake.gpus(gpus);
  await eventually("it can be given out", async () => {
    await care.look(LONG_MS);
    return care.hold(gpu(0), "t") !== undefined;
  });
});

test("one GPU that is lost, or no longer listed, leaves the others to be given out", async () => {
  const gpus = fakeGpuList(3);
  await using fake = await fakeGpus(gpus);
  const { care, gpu, why } = await careOf(fake, "a");
  await fake.lose("GPU-b");
  await eventually("the lost one is set aside, and no other", async () => {
    await care.look(LONG_MS);
    return why(1) === "its tool does not show it any more" && why(0) === undefined && why(2) === undefined;
  });
  expect(care.hold(gpu(2), "t")).toMatchObject({ id: "GPU-c" });
});

test("a GPU whose number moves is found by its UUID, and its task by the number that it has now", async () => {
  const gpus = fakeGpuList(3);
  await using fake = await fakeGpus(gpus);
  const { care, gpu } = await careOf(fake, "a");
  await fake.gpus(gpus.slice(1));
  await eventually("it was looked at since", async () => {
    await care.look(LONG_MS);
    return care.whyAside(gpu(0)) !== undefined;
  });
  expect(care.hold(gpu(2), "t")).toEqual({ index: 2, vendor: "nvidia", id: "GPU-c", visible: "1" });
});

test("shared GPUs are given out whoever uses them", async () => {
  await using fake = await fakeGpus(fakeGpuList(1, { usedMib: 40_000 }));
  await fake.processes([{ uuid: "GPU-a", pid: 4711, name: "python3" }]);
  const [a, b] = [await careOf(fake, "a", { locks: undefined }), await careOf(fake, "b", { locks: undefined })];
  await Promise.all([a.care.look(LONG_MS), b.care.look(LONG_MS)]);
  expect([a.care.hold(a.gpu(0), "t"), b.care.hold(b.gpu(0), "t")]).toMatchObject([{ id: "GPU-a" }, { id: "GPU-a" }]);
});

test("an adopted task has its GPU whatever may be said against that", async () => {
  await using fake = await fakeGpus(fakeGpuList(1));
  await fake.processes([{ uuid: "GPU-a", pid: 4711, name: "python3" }]);
  const { care, gpu, why } = await careOf(fake, "a");
  care.keep(gpu(0), "task-1");
  await care.look(LONG_MS);
  expect(why(0)).toBeUndefined();
  const other = await careOf(fake, "b");
  await other.care.look(LONG_MS);
  expect(other.care.whyNot(other.gpu(0))).toContain("agent a on this host holds it");
  await care.settled();
  expect(other.care.hold(other.gpu(0), "t")).toBeUndefined();
});
