import { afterEach, expect, test, vi } from "vitest";
import { after } from "./after.js";

afterEach(() => vi.useRealTimers());

test("a delay of months is not cut short by the limit of Node's timers", () => {
  vi.useFakeTimers();
  const act = vi.fn();
  const day = 24 * 3_600_000;
  after(60 * day, act);
  vi.advanceTimersByTime(59 * day);
  expect(act).not.toHaveBeenCalled();
  vi.advanceTimersByTime(day);
  expect(act).toHaveBeenCalledTimes(1);
});

test("a cancelled one never comes, also after it was wound up again", () => {
  vi.useFakeTimers();
  const act = vi.fn();
  const cancel = after(60 * 24 * 3_600_000, act);
  vi.advanceTimersByTime(30 * 24 * 3_600_000);
  cancel();
  vi.advanceTimersByTime(60 * 24 * 3_600_000);
  expect(act).not.toHaveBeenCalled();
});
