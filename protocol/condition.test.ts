import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type ConditionSubject, parseCondition } from "./condition.js";
import { isNavvyError } from "./errors.js";
import { addPoint } from "./summary.js";
import type { MetricSummary } from "./task-record.js";

const summary = (...values: number[]) =>
  values.reduce<MetricSummary | undefined>(
    (so, value, step) => addPoint(so, { key: "k", step, value, time: 0 }),
    undefined,
  ) as MetricSummary;

const record: ConditionSubject = {
  reported: {
    metrics: {
      "val/acc": summary(0.5, 0.93, 0.9),
      loss: summary(2, 0.05),
      "acc.max": summary(7),
      acc: summary(1),
      diverged: summary(1, Number.NaN),
      "my metric": summary(3),
      epoch: summary(12),
    },
    metricsOmitted: 0,
    outputs: { accuracy: "0.93", who: "me", best: 5, ok: true, loss: 99, list: [1, 2] },
    artifacts: [],
    notes: [],
  },
  spec: { parameters: { General: { lr: 0.1 }, Data: { name: "iris" } } },
};
const meets = (text: string) => parseCondition(text).meets(record);

describe("a condition", () => {
  test.each([
    "val/acc.max > 0.9",
    "loss.last < 0.1 and epoch >= 10",
    "loss < 0.1",
    "val/acc = 0.9",
    "val/acc.maxStep == 1 AND val/acc.count == 3",
    "0.9 < val/acc.max",
    "loss < 0.01 or val/acc.max > 0.9",
    "not loss > 1 and not (epoch < 10 or epoch > 20)",
    "acc.max == 7",
    "acc.min == 1",
    "`my metric`.max == 3 and `my metric` > -1e3",
    "diverged.last == nan and not diverged.last > 0 and diverged.max < inf",
    "accuracy > 0.9",
    "who == 'me'",
    'who != "you" and best <= 5 and ok == true',
    "outputs.loss == 99",
    "params.General/lr == 0.1 and params.lr <= 0.1 and params.Data/name == 'iris'",
    "outputs.list != 1",
  ])("%s is met", (text) => expect(meets(text)).toBe(true));

  test.each([
    "val/acc.max > 0.93",
    "nothing > 0",
    "nothing != 0",
    "nothing.max < 1",
    "who > 1",
    "loss < 0.1 and epoch < 10",
    "ok == 1",
    "constructor != 1",
    "__proto__ != 1",
    "diverged > 0",
  ])("%s is not met", (text) => expect(meets(text)).toBe(false));

  test("and binds more than or, and a name is a metric before it is an output", () => {
    expect(meets("loss > 1 and loss > 1 or acc == 1")).toBe(true);
    expect(meets("loss == 99")).toBe(false);
    expect(parseCondition("a > 1 and (b.max < a or `c d` = 'x')").names).toEqual(["a", "b.max", "c d"]);
  });

  test.each([
    ["", 0, "expected a metric"],
    ["val/acc.max >", 13, "expected a metric"],
    ["val/acc.max 0.9", 12, "expected one of >= <="],
    ["a > 1 b < 2", 6, 'expected "and"'],
    ["(a > 1", 6, 'expected ")"'],
    ["a > 'x", 4, "a quote that nothing closes"],
    ["a > 1 and or", 10, "expected a metric"],
    ["a ! 1", 2, "expected something else"],
    [`${"(".repeat(60)}a > 1`, 50, "more than 50"],
  ])("%j is refused with a caret at %d", (text, at, problem) => {
    const error = (() => {
      try {
        return parseCondition(text);
      } catch (thrown) {
        return thrown;
      }
    })();
    if (!isNavvyError(error, "invalid_argument")) throw error;
    const [message, line, caret] = error.message.split("\n");
    expect([message, line, caret]).toEqual([expect.stringContaining(problem), `  ${text}`, `  ${" ".repeat(at)}^`]);
  });

  test("is read or refused, whatever the text", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constantFrom("a", ">", "and", "not", "(", ")", "1", "`b c`", "'", "or", "=", "nan"), fc.string())),
        (parts) => {
          try {
            expect(typeof meets(parts.join(" "))).toBe("boolean");
          } catch (error) {
            if (!isNavvyError(error, "invalid_argument")) throw error;
          }
        },
      ),
    );
  });
});
