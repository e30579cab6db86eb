import fc from "fast-check";
import { expect, test } from "vitest";
import { type Gpu, type Lane, type Needs, shapeOf } from "../protocol/index.js";
import { deviceOf, devicesOf } from "./slot-gpus.js";
import { type GpuKeeper, OPEN_KEEPER, Slots, type SlotsOffer } from "./slots.js";

const GIB = 2 ** 30;
const lane = (queue: string, shape = "cpu") => ({ queue, class: "normal", shape }) as const;
const asking = (needs: Partial<Needs>): Lane => {
  const all = { gpus: 0, ...needs };
  return { queue: "default", class: "normal", shape: shapeOf(all), needs: all };
};
const gpus = (...sizes: number[]): Gpu[] =>
  sizes.map((gib, index) => ({ index, name: `NVIDIA X${gib}`, uuid: `GPU-${index}`, memoryTotalBytes: gib * GIB }));
const offer = (change: Partial<SlotsOffer> = {}): SlotsOffer => ({
  gpus: [],
  cpus: 8,
  memoryBytes: 64 * GIB,
  diskBytes: 500 * GIB,
  labels: {},
  container: false,
  ...change,
});
const machine = (change: Partial<SlotsOffer> = {}, slots = 8, keeper?: GpuKeeper) =>
  new Slots({ compute: slots, service: 0 }, offer(change), keeper);

test("service slots and compute slots are apart", () => {
  const slots = new Slots({ compute: 1, service: 2 }, offer());
  expect(slots.take(lane("default"))).toEqual({ pool: "compute", gpus: [] });
  expect(slots.take(lane("other"))).toBeUndefined();
  expect(slots.room(lane("services"))).toBe(2);
});

test("each GPU is given to one task at a time and comes back with its slot", () => {
  const slots = machine({ gpus: gpus(24, 24, 24) }, 4);
  const first = slots.take(lane("default", "g2"));
  expect(first?.gpus).toEqual([0, 1]);
  expect(slots.room(lane("default", "g2"))).toBe(0);
  expect(slots.room(lane("default", "g1"))).toBe(1);
  expect(slots.room(lane("default"))).toBe(3);
  slots.free(first!);
  expect(slots.room(lane("default", "g3"))).toBe(1);
  expect(slots.fits(lane("default", "g4"))).toBe(false);
});

test("a shape of a newer navvy, and a hashed one whose needs are not known, are left alone", () => {
  const slots = machine({ gpus: gpus(24) });
  for (const shape of ["tpu9", "g1-x0123456789abc"]) {
    expect(slots.fits(lane("default", shape))).toBe(false);
    expect(slots.room(lane("default", shape))).toBe(0);
  }
});

test("the smallest GPU that suits is given out, and a larger one is kept for who needs it", () => {
  const slots = machine({ gpus: gpus(80, 24, 40) });
  expect(slots.take(lane("default", "g1"))?.gpus).toEqual([1]);
  expect(slots.take(asking({ gpus: 1, gpuMemoryBytes: 30 * GIB }))?.gpus).toEqual([2]);
  expect(slots.room(asking({ gpus: 1, gpuMemoryBytes: 30 * GIB }))).toBe(1);
  expect(slots.room(asking({ gpus: 1, gpuModel: "x40" }))).toBe(0);
  expect(slots.fits(asking({ gpus: 1, gpuModel: "x40" }))).toBe(true);
  expect(slots.fits(asking({ gpus: 2, gpuModel: "x40" }))).toBe(false);
});

test("processors, memory and disk that tasks ask for add up, and come back; who asks for nothing takes just a slot", () => {
  const slots = machine();
  const wide = slots.take(asking({ cpus: 6 }));
  expect(slots.room(asking({ cpus: 2.5 }))).toBe(0);
  expect(slots.room(asking({ cpus: 0.5 }))).toBe(4);
  expect(slots.room(lane("default"))).toBe(7);
  slots.free(wide!);
  expect(slots.room(asking({ cpus: 2.5 }))).toBe(3);
  slots.take(asking({ memoryBytes: 40 * GIB }));
  expect(slots.room(asking({ memoryBytes: 30 * GIB }))).toBe(0);
  slots.take(asking({ diskBytes: 300 * GIB }));
  slots.see({ diskFreeBytes: 350 * GIB });
  expect([40, 60].map((gib) => slots.room(asking({ diskBytes: gib * GIB })))).toEqual([1, 0]);
  expect(slots.reserved).toEqual({ cpus: 0, memoryBytes: 40 * GIB, diskBytes: 300 * GIB });
});

test("ten tenths of a processor are a processor", () => {
  const slots = machine({ cpus: 1 }, 20);
  for (let i = 0; i < 10; i++) expect(slots.take(asking({ cpus: 0.1 }))).toBeDefined();
  expect(slots.take(asking({ cpus: 0.1 }))).toBeUndefined();
});

test("labels and a container engine are had or not", () => {
  const slots = machine({ labels: { rack: "b2" } });
  expect(slots.fits(asking({ labels: { rack: "b2" } }))).toBe(true);
  expect(slots.fits(asking({ labels: { rack: "b3" } }))).toBe(false);
  expect(slots.fits(asking({ container: true }))).toBe(false);
  expect(machine({ container: true }).fits(asking({ container: true }))).toBe(true);
});

test("what an earlier run holds stays held, also on a machine that would not give it out any more", () => {
  const slots = machine({ gpus: gpus(24, 24) });
  const slot = slots.hold({ pool: "compute", gpus: [0, 7], reserved: { cpus: 8, memoryBytes: 0, diskBytes: 0 } }, "task-1");
  expect(slots.room(lane("default", "g1"))).toBe(1);
  expect(slots.room(asking({ cpus: 1 }))).toBe(0);
  expect(slots.viewOf(gpus(24)[0]!)).toEqual({ heldBy: "task-1" });
  slots.free(slot);
  expect(slots.room(lane("default", "g1"))).toBe(2);
});

test("GPUs that the keeper sets aside or that someone else is faster to hold are not given out", () => {
  const released: number[] = [];
  const keeper: GpuKeeper = {
    ...OPEN_KEEPER,
    whyNot: (gpu) => (gpu.index === 0 ? "too hot" : undefined),
    whyAside: (gpu) => (gpu.index === 0 ? "too hot" : undefined),
    hold: (gpu) => (gpu.index === 2 ? undefined : deviceOf(gpu)),
    release: (gpu) => void released.push(gpu.index),
  };
  const slots = machine({ gpus: gpus(24, 24, 24) }, 8, keeper);
  expect(slots.room(lane("default", "g2"))).toBe(1);
  expect(slots.take(lane("default", "g2"))).toBeUndefined();
  expect(released).toEqual([1]);
  expect(slots.take(lane("default", "g1"))?.gpus).toEqual([1]);
  expect(slots.viewOf(gpus(24)[0]!)).toEqual({ asideReason: "too hot" });
});

test("a task finds its GPUs by their numbers on the bus, an instance by its UUID", () => {
  const mig = { index: 101, name: "A100", uuid: "MIG-1", mig: { parent: 0, device: 1, profile: "3g.20gb" } };
  expect(devicesOf({ gpus: [0, 1], devices: [deviceOf(gpus(24)[0]!), deviceOf(mig)] })).toEqual({
    vendor: "nvidia",
    ids: ["GPU-0", "MIG-1"],
    visible: ["0", "MIG-1"],
  });
  expect(devicesOf({ gpus: [3] })).toEqual({ vendor: "nvidia", ids: ["3"], visible: ["3"] });
  expect(devicesOf({ gpus: [] })).toBeUndefined();
});

test("whatever is taken and freed in whatever order, no GPU is held twice and nothing is given out beyond what there is", () => {
  const kind = fc.constantFrom<Partial<Needs>>(
    {},
    { gpus: 1 },
    { gpus: 2 },
    { gpus: 1, gpuMemoryBytes: 30 * GIB },
    { cpus: 3 },
    { cpus: 0.5 },
  );
  const step = fc.oneof(
    kind.map((needs) => ({ needs })),
    fc.nat({ max: 7 }).map((free) => ({ free })),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const slots = machine({ gpus: gpus(24, 24, 40, 80) });
      const held: NonNullable<ReturnType<Slots["take"]>>[] = [];
      for (const each of steps) {
        if ("free" in each) held.splice(each.free, 1).forEach((slot) => slots.free(slot));
        else {
          const had = slots.room(asking(each.needs));
          const slot = slots.take(asking(each.needs));
          expect(slot !== undefined).toBe(had > 0);
          if (slot) held.push(slot);
        }
        const given = held.flatMap((slot) => slot.gpus);
        expect(new Set(given).size).toBe(given.length);
        expect(held.reduce((sum, slot) => sum + (slot.reserved?.cpus ?? 0), 0)).toBeLessThanOrEqual(8);
        expect(slots.used.compute).toBe(held.length);
      }
      held.forEach((slot) => slots.free(slot));
      expect([slots.room(lane("default", "g4")), slots.isIdle]).toEqual([1, true]);
    }),
  );
});
