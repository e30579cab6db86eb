import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { tempFolder } from "../../../test/support/folder.js";
import { GpuLocks } from "./locks.js";

let folder: Awaited<ReturnType<typeof tempFolder>>;
beforeEach(async () => {
  folder = await tempFolder();
});
afterEach(() => folder[Symbol.asyncDispose]());

const locks = (agent: string, spawnerPid = process.pid) =>
  GpuLocks.open({ folder: join(folder.path, "locks"), agent, agentFolder: `/work/${agent}`, spawnerPid });
const change = async (edit: (holder: { processes: { pid: number; birth: string }[] }) => void) => {
  const file = join(folder.path, "locks", "nvidia-GPU-a.lock");
  const holder = JSON.parse(await readFile(file, "utf8")) as Parameters<typeof edit>[0];
  edit(holder);
  await writeFile(file, JSON.stringify(holder));
};

test("a GPU is held by one agent of a host at a time, and the others are told by whom and for what", async () => {
  const [first, second] = [await locks("first"), await locks("second")];
  expect(first.take("nvidia-GPU-a", "task-1")).toBe(true);
  expect(second.take("nvidia-GPU-a", "task-2")).toBe(false);
  expect(second.take("nvidia-GPU-b", "task-2")).toBe(true);
  expect(await second.holder("nvidia-GPU-a")).toMatchObject({ agent: "first", task: "task-1" });
  expect(await first.holder("nvidia-GPU-a")).toBeUndefined(); // nobody else
  second.release("nvidia-GPU-a");
  expect(second.take("nvidia-GPU-a", "task-2")).toBe(false);
  first.release("nvidia-GPU-a");
  expect(second.take("nvidia-GPU-a", "task-2")).toBe(true);
  expect((await readdir(join(folder.path, "locks"))).sort()).toEqual(["nvidia-GPU-a.lock", "nvidia-GPU-b.lock"]);
});

test("a holder whose processes are dead is replaced once that was seen; a number that was given out again is not the holder", async () => {
  const [first, second] = [await locks("first"), await locks("second")];
  first.take("nvidia-GPU-a", "task-1");
  await change((holder) => holder.processes.forEach((each) => (each.birth = "1")));
  expect(second.take("nvidia-GPU-a", "task-2")).toBe(false);
  expect(await second.holder("nvidia-GPU-a")).toBeUndefined();
  expect(second.take("nvidia-GPU-a", "task-2")).toBe(true);
  expect(await first.holder("nvidia-GPU-a")).toMatchObject({ agent: "second" });
});

test("an agent that is dead holds what its spawner may still run", async () => {
  const spawner = spawn("sleep", ["1000"]);
  try {
    const [first, second] = [await locks("first", spawner.pid), await locks("second")];
    first.take("nvidia-GPU-a", "task-1");
    await change((holder) => (holder.processes[0]!.birth = "1"));
    expect(await second.holder("nvidia-GPU-a")).toMatchObject({ agent: "first" });
    spawner.kill("SIGKILL");
    await once(spawner, "exit");
    expect(await second.holder("nvidia-GPU-a")).toBeUndefined();
  } finally {
    spawner.kill("SIGKILL");
  }
});

test("the next run of an agent takes up its own locks, and gives back those that it does not need", async () => {
  const earlier = await locks("first");
  for (const id of ["nvidia-GPU-a", "nvidia-GPU-b"]) earlier.take(id, "task-1");
  const other = await locks("other");
  other.take("nvidia-GPU-c", "task-3");
  const next = await locks("first");
  expect(next.take("nvidia-GPU-a", "task-1")).toBe(true);
  await next.releaseAllBut(["nvidia-GPU-a"]);
  expect((await readdir(join(folder.path, "locks"))).sort()).toEqual(["nvidia-GPU-a.lock", "nvidia-GPU-c.lock"]);
});

test("a lock that can not be read is nobody's, and one from where we can not look is somebody's", async () => {
  const mine = await locks("mine");
  const file = join(folder.path, "locks", "nvidia-GPU-a.lock");
  await writeFile(file, "");
  expect(await mine.holder("nvidia-GPU-a")).toBeUndefined();
  expect(mine.take("nvidia-GPU-a", "task-1")).toBe(true);
  mine.release("nvidia-GPU-a");
  const foreign = { agent: "inside", folder: "/x", task: "", space: "pid:[1]", processes: [{ pid: 1, birth: "1" }] };
  await writeFile(file, JSON.stringify(foreign));
  expect(await mine.holder("nvidia-GPU-a")).toMatchObject({ agent: "inside" });
  expect(mine.take("nvidia-GPU-a", "task-1")).toBe(false);
});

test("a taker that died while it replaced a lock keeps others from it for no longer than seconds", async () => {
  const [first, second] = [await locks("first"), await locks("second")];
  first.take("nvidia-GPU-a", "task-1");
  await change((holder) => (holder.processes = []));
  await second.holder("nvidia-GPU-a");
  const guard = join(folder.path, "locks", "nvidia-GPU-a.lock.guard");
  await mkdir(guard);
  expect(second.take("nvidia-GPU-a", "task-2")).toBe(false);
  await utimes(guard, 0, 0);
  expect([second.take("nvidia-GPU-a", "task-2"), second.take("nvidia-GPU-a", "task-2")]).toEqual([false, true]);
});
