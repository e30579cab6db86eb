import { expect, test } from "vitest";
import { Slots } from "./slots.js";

const lane = (queue: string, shape = "cpu") => ({ queue, class: "normal", shape }) as const;

test("service slots and compute slots are apart", () => {
  const slots = new Slots({ compute: 1, service: 2 }, []);
  expect(slots.take(lane("default"))).toEqual({ pool: "compute", gpus: [] });
  expect(slots.take(lane("other"))).toBeUndefined();
  expect(slots.room(lane("services"))).toBe(2);
});

test("each GPU is given to one task at a time and comes back with its slot", () => {
  const slots = new Slots({ compute: 4, service: 0 }, [0, 1, 2]);
  const first = slots.take(lane("default", "g2"));
  expect(first?.gpus).toEqual([0, 1]);
  expect(slots.room(lane("default", "g2"))).toBe(0);
  expect(slots.room(lane("default", "g1"))).toBe(1);
  expect(slots.room(lane("default"))).toBe(3);
  slots.free(first!);
  expect(slots.room(lane("default", "g3"))).toBe(1);
  expect(slots.fits(lane("default", "g4"))).toBe(false);
});

test("a shape of a newer navvy is left alone", () => {
  const slots = new Slots({ compute: 4, service: 0 }, [0]);
  expect(slots.fits(lane("default", "tpu9"))).toBe(false);
  expect(slots.room(lane("default", "tpu9"))).toBe(0);
});
