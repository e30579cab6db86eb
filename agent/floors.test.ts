import { expect, test } from "vitest";
import { Floors } from "./floors.js";

const MIB = 2 ** 20;
const sample = (disk: number, memory: number) => ({
  disk: { freeBytes: disk * MIB, totalBytes: 10_000 * MIB },
  memory: { usedBytes: (10_000 - memory) * MIB, totalBytes: 10_000 * MIB },
});

test("work is taken while disk and memory are above their floors, and the one that is short is named", () => {
  const floors = new Floors({ minFreeDiskBytes: 256 * MIB, minFreeMemoryBytes: 128 * MIB });
  expect(floors.reason).toBeUndefined();
  floors.take(sample(200, 5_000));
  expect(floors.reason).toBe("only 200 MiB of disk free, and 256 MiB are to stay free");
  floors.take(sample(300, 100));
  expect(floors.reason).toBe("only 100 MiB of memory free, and 128 MiB are to stay free");
  floors.take(sample(300, 300));
  expect(floors.reason).toBeUndefined();
  floors.take({ ...sample(0, 300), disk: { freeBytes: 0, totalBytes: 0 } }); // not known yet
  expect(floors.reason).toBeUndefined();
});
