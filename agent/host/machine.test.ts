import { rename, writeFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isAlive, readPid } from "../../test/fixtures/processes/task.js";
import { eventually } from "../../test/support/eventually.js";
import { tempFolder } from "../../test/support/folder.js";
import { Machine } from "./machine.js";

const path = process.env["PATH"];
let folder: Awaited<ReturnType<typeof tempFolder>>;
beforeEach(async () => {
  folder = await tempFolder();
});
afterEach(async () => {
  process.env["PATH"] = path;
  await folder[Symbol.asyncDispose]();
});

/** Puts a program of that name before all others. */
async function fakeNvidiaSmi(script: string): Promise<void> {
  // Beside it and renamed: one that runs just now can not be written to.
  await writeFile(join(folder.path, "next"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  await rename(join(folder.path, "next"), join(folder.path, "nvidia-smi"));
  process.env["PATH"] = `${folder.path}:${path}`;
}
const rows = ["0, NVIDIA H200, GPU-aa, 143771, 1024, 35, 41, 120.50", "1, NVIDIA H200, GPU-bb, 143771, 0, 0, 33, [N/A]"];
const twoGpus = `printf '%s\\n' '${rows.join("' '")}'`;
const probe = (gpus: "auto" | "none" | "all" | number[], options = {}) => Machine.probe({ workDir: folder.path, gpus, ...options });

test("what a machine is, and how it does, is told in plausible figures", async () => {
  const machine = await probe("none");
  const { facts } = machine;
  expect(facts).toMatchObject({ host: expect.stringMatching(/./), os: expect.stringMatching(/\w+ .*\(\w+\)/), memoryBytes: totalmem() });
  expect(facts.cpus).toBeGreaterThan(0);
  const sample = await machine.sample();
  expect(sample.cpu.used).toBeGreaterThanOrEqual(0);
  expect(sample.cpu.used).toBeLessThanOrEqual(100);
  expect(sample.memory.usedBytes).toBeGreaterThan(0);
  expect(sample.memory.usedBytes).toBeLessThan(sample.memory.totalBytes);
  expect(sample.disk.freeBytes).toBeGreaterThan(0);
  expect(sample.disk.freeBytes).toBeLessThanOrEqual(sample.disk.totalBytes);
  expect(sample.network.rxBytesPerSec).toBeGreaterThanOrEqual(0);
});

test("no nvidia-smi on the machine is no error", async () => {
  process.env["PATH"] = folder.path;
  expect((await probe("auto")).facts.gpus).toEqual([]);
  await expect(probe("all")).rejects.toMatchObject({ code: "not_found" });
});

test("GPUs come with their figures in bytes, percent, degrees and watts; what one can not tell is left out", async () => {
  await fakeNvidiaSmi(twoGpus);
  const machine = await probe("auto");
  const first = { index: 0, name: "NVIDIA H200", uuid: "GPU-aa", memoryTotalBytes: 143771 * 2 ** 20, memoryUsedBytes: 2 ** 30 };
  expect(machine.facts.gpus).toEqual([
    { ...first, utilization: 35, temperatureC: 41, powerW: 120.5 },
    {
      index: 1,
      name: "NVIDIA H200",
      uuid: "GPU-bb",
      memoryTotalBytes: 143771 * 2 ** 20,
      memoryUsedBytes: 0,
      utilization: 0,
      temperatureC: 33,
    },
  ]);
  expect((await machine.sample()).gpus).toEqual(machine.facts.gpus);
});

test("GPUs can be chosen by their numbers or not at all, and one that is not there is an error", async () => {
  await fakeNvidiaSmi(twoGpus);
  expect((await probe([1])).facts.gpus.map((gpu) => gpu.uuid)).toEqual(["GPU-bb"]);
  expect((await probe("none")).facts.gpus).toEqual([]);
  await expect(probe([0, 2])).rejects.toMatchObject({ code: "not_found", message: "GPU 2 is not on this machine: it has 0, 1" });
  await fakeNvidiaSmi("true");
  await expect(probe("all")).rejects.toMatchObject({ code: "not_found" });
});

test("an nvidia-smi that fails leaves a machine without GPUs, unless they were asked for", async () => {
  await fakeNvidiaSmi("echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18");
  const warnings: string[] = [];
  const machine = await probe("auto", { log: { warn: (_: object, message: string) => warnings.push(message) } });
  expect([machine.facts.gpus, warnings.length]).toEqual([[], 1]);
  await expect(probe("all")).rejects.toMatchObject({ code: "setup_failed", message: expect.stringContaining("version mismatch") });
});

test("an nvidia-smi that hangs holds up neither the start nor a sample", async () => {
  const pidFile = join(folder.path, "pid");
  await fakeNvidiaSmi(`echo $$ > '${pidFile}'; exec sleep 1000`);
  const machine = await probe("auto", { gpuTimeoutMs: 100 });
  expect(machine.facts.gpus).toEqual([]);
  await expect(probe([0], { gpuTimeoutMs: 100 })).rejects.toMatchObject({ code: "timeout" });
  const pid = await eventually("it was asked", () => readPid(pidFile));
  await eventually("it is ended", () => !isAlive(pid));
});

test("a sample does not wait for an nvidia-smi that began to hang", async () => {
  const asked = join(folder.path, "asked");
  await fakeNvidiaSmi(`[ -e '${asked}' ] && exec sleep 1000; : > '${asked}'; ${twoGpus}`);
  const machine = await probe("auto", { gpuTimeoutMs: 2_000 });
  for (let i = 0; i < 3; i++) {
    const before = performance.now();
    const { gpus } = await machine.sample();
    expect(performance.now() - before).toBeLessThan(1_000);
    expect(gpus.map((gpu) => gpu.utilization)).toEqual([35, 0]);
  }
});

test("figures of GPUs are refreshed behind the samples", async () => {
  await fakeNvidiaSmi(twoGpus);
  const machine = await probe("auto");
  await fakeNvidiaSmi(twoGpus.replace(", 35,", ", 99,"));
  await eventually("the new figure comes", async () => (await machine.sample()).gpus[0]?.utilization === 99);
});
