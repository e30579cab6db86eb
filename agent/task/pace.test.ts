import { expect, test } from "vitest";
import { eventually } from "../../test/support/eventually.js";
import { Pace } from "./pace.js";

test("turns come one at a time, and none comes after the stop", async () => {
  let running = 0;
  let most = 0;
  let turns = 0;
  const pace = new Pace(async () => {
    most = Math.max(most, ++running);
    await new Promise((resolve) => setTimeout(resolve, 30));
    running--;
    turns++;
    return true;
  });
  await eventually("three turns came", () => turns >= 3);
  await pace.stop();
  expect({ running, most }).toEqual({ running: 0, most: 1 });
  const before = turns;
  await new Promise((resolve) => setTimeout(resolve, 60)); // longer than a turn and its delay
  expect(turns).toBe(before);
});

test("what stands still is looked at ever more seldom", async () => {
  const at: number[] = [];
  const pace = new Pace(async () => {
    at.push(performance.now());
    return false;
  });
  await eventually("ten turns came", () => at.length >= 10);
  await pace.stop();
  const gaps = at.slice(1).map((time, i) => time - (at[i] ?? 0));
  expect(gaps.at(-1)).toBeGreaterThan((gaps[0] ?? 0) * 2);
});
