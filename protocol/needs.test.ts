import { expect, test } from "vitest";
import { misfitsOf, type Needs, type Offer, suits } from "./needs.js";

const GIB = 2 ** 30;
const MIB = 2 ** 20;
const offer = (change: Partial<Offer> = {}): Offer => ({
  gpus: [
    { name: "NVIDIA H100 80GB HBM3", memoryTotalBytes: 81_559 * MIB },
    { name: "NVIDIA A10G", memoryTotalBytes: 23_028 * MIB },
  ],
  cpus: 8,
  memoryBytes: 64 * GIB,
  diskBytes: 500 * GIB,
  labels: { rack: "b2" },
  container: false,
  ...change,
});
const lacks = (needs: Partial<Needs>, change?: Partial<Offer>) => misfitsOf({ gpus: 0, ...needs }, offer(change)).map((each) => each.kind);

test("a GPU counts with the memory that it is sold with", () => {
  expect(misfitsOf({ gpus: 1, gpuMemoryBytes: 80 * GIB }, offer())).toEqual([]);
  expect(misfitsOf({ gpus: 2, gpuMemoryBytes: 24 * GIB }, offer())).toEqual([]);
  expect(misfitsOf({ gpus: 2, gpuMemoryBytes: 40 * GIB }, offer())).toEqual([{ kind: "gpus", matching: 1 }]);
});

test("a model is part of the name, or parts with * between them, whatever the capitals", () => {
  const gpu = { name: "NVIDIA H100 80GB HBM3" };
  const is = (gpuModel: string) => suits({ gpus: 1, gpuModel }, gpu);
  expect(["H100", "h100", "h100*hbm3", "nvidia*80gb", "*"].map(is)).toEqual([true, true, true, true, true]);
  expect(["A100", "hbm3*h100", "h100.*"].map(is)).toEqual([false, false, false]);
});

test("whatever a machine can never give is named", () => {
  expect(lacks({ cpus: 8, memoryBytes: 64 * GIB, diskBytes: 500 * GIB, labels: { rack: "b2" } })).toEqual([]);
  expect(lacks({ cpus: 9 })).toEqual(["cpus"]);
  expect(lacks({ memoryBytes: 65 * GIB, diskBytes: 501 * GIB })).toEqual(["memory", "disk"]);
  expect(lacks({ diskBytes: 501 * GIB }, { diskBytes: undefined })).toEqual([]);
  expect(misfitsOf({ gpus: 0, labels: { rack: "b3" } }, offer())).toEqual([{ kind: "label", key: "rack", value: "b3" }]);
  expect(lacks({ container: true })).toEqual(["container"]);
  expect(lacks({ container: true }, { container: true })).toEqual([]);
  expect(lacks({ gpus: 1 }, { gpus: [] })).toEqual(["gpus"]);
});
