import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isNavvyError, type ParameterValue } from "../../protocol/index.js";
import { errorOf, member, scope } from "../../test/support/expression-scope.js";
import { evaluate, parseExpression, type StepView } from "./index.js";

const value = (source: string) => evaluate(parseExpression(source), scope);

describe("an expression", () => {
  test.each<[string, ParameterValue]>([
    ["1 + 2 * 3 - 4 / 2", 5],
    ["(1 + 2) * 3 % 4", 1],
    ["-params.n + 1", -2],
    ["1e-3", 0.001],
    ["'a' + \"b\\n\" + 'it\\'s'", "ab\nit's"],
    ["'v' + 1 + true", "v1true"],
    ["[1, 'a', [null]]", [1, "a", [null]]],
    ["[1] + [2]", [1, 2]],
    ["true && !false || 1", true],
    ["params.n > 2 ? 'many' : 'few'", "many"],
    ["false ? 1 : true ? 2 : 3", 2],
    ["(1 < 2) == true", true],
    ["2 in [1, 2]", true],
    ["'ell' in 'hello'", true],
    ["'deep' in params.some", true],
    ["params.epochs", 10],
    ["pipeline.epochs", 10],
    ["params.batch-size - 1", 7],
    ["params['batch-size']", 8],
    ["params.lrs[0]", 0.001],
    ["params.lrs.-1", 0.0003],
    ["params.lrs[-1]", 0.0003],
    ["params.lrs.length", 2],
    ["params.some.deep[0]", "x"],
    ["matrix.lr", 0.5],
    ["round", 2],
    ["round + 1", 3],
    ["round-1", 1],
    ["run.number", 7],
    ["steps.prep.id", "P1"],
    ["prep.id", "P1"],
    ["my-step.id", "P1"],
    ["steps.my-step.state", "cached"],
    ["steps['my-step'].name", "my-step"],
    ["steps.prep.parameters.General/lr", 0.1],
    ["steps.prep.parameters['General/lr']", 0.1],
    ["steps.prep.params.lr + 0", 0.1],
    ["steps.prep.params.Data/name", "iris"],
    ["prep.parameters.General.lr", 0.1],
    ["steps.prep.outputs.rows", 150],
    ["steps.prep.outputs.map['a b']", 1],
    ["steps.prep.outputs.accuracy > 0.9", true],
    ["steps.prep.outputs.accuracy == 0.93", true],
    ["steps.prep.outputs.ok && true", true],
    ["steps.prep.artifacts.data.url", "navvy://P1/data"],
    ["steps.prep.artifacts.data.path", "${inputs.P1_data}"],
    ["steps.prep.artifacts.data.size", 12],
    ["steps.prep.artifacts['model.pt'].url", "s3://b/p/ab12?region=x"],
    ["steps.prep.artifacts.data", { task: "P1", name: "data", url: "navvy://P1/data", sha256: "ab12", size: 12 }],
    ["steps.prep.metrics.val/acc.max", 1.9],
    ["steps.prep.metrics.val/acc", 0.9],
    ["steps.prep.metrics.val/acc > 0.8", true],
    ["steps.prep.metrics.val-loss.at_min", 2],
    ["steps.prep.metrics['a.b'].last / 2", 2.5],
    ["steps.prep.models.output.-1.url", "navvy://P1/best.ckpt"],
    ["steps.prep.models.output['model.pt'].size", 12],
    ["steps.prep.models.input.base.url", "navvy://T0/raw%20data"],
    ["steps.prep.task.project", "lab"],
    ["steps.prep.task.tags[0]", "a"],
    ["steps.prep.task.spec.command", ["true"]],
    ["steps.off.state", "skipped"],
    ["steps.train.state", "completed"],
    ["steps.train.length", 4],
    ["steps.train[1].id", "M1"],
    ["steps.train.-1.matrix.lr", 0.3],
    ["steps.train['M1'].artifacts.model.url", "navvy://M1/model"],
    ["steps.train[steps.train[1].id].matrix.lr", 0.1],
    ["steps.train.map(id)", ["M0", "M1", "M2", "M3"]],
    ["steps.train.map(task, task.id)", ["M0", "M1", "M2", "M3"]],
    ["train.map(t, default(metrics.accuracy.last, -1) * params.n > 2.5)", [false, true, false, false]],
    ["steps.train.best(metrics.accuracy.last).id", "M1"],
    ["steps.train.best(metrics.accuracy.last, 'min').matrix.lr", 0],
    ["steps.train.best(metrics.accuracy).artifacts.model.path", "${inputs.M1_model}"],
    ["default(steps.off.outputs.x, 5)", 5],
    ["default(steps.prep.outputs.nothing, 'no')", "no"],
    ["default(params.none, 1)", 1],
    ["default(params.n, 1)", 3],
    ["json(params.lrs)", "[0.001,0.0003]"],
    ["join(params.lrs, ' ')", "0.001 0.0003"],
    ["length('abc') + length([1]) + length(params.some)", 5],
    ["min(3, 1, 2) + max(params.lrs)", 1.001],
    ["sum([1, '2'])", 3],
    ["range(3)", [0, 1, 2]],
    ["range(3, 1, -1)", [3, 2]],
    ["basename('/a/b.tar/')", "b.tar"],
    ["match('val/acc', 'val/*')", true],
    ["match('abcbc', 'a*b?')", true],
    ["match('abc', 'b*')", false],
    ["upper('a') + lower('B')", "Ab"],
    ["round(2.456, 1)", 2.5],
    ["now()", "2026-02-03T00:00:00Z"],
    ["always() && success() && !failure()", true],
    ["params.text + 1", 6],
    ["params.text == 5", true],
    ["params.some == params.some", true],
    ["1 == true", false],
  ])("%s is %j", (source, expected) => {
    const found = value(source);
    if (typeof expected === "number") expect(found).toBeCloseTo(expected, 9);
    else expect(found).toEqual(expected);
  });

  test.each([
    ["", 0, "expected a value"],
    ["1 +", 3, "expected a value"],
    ["a.b c", 4, "expected an operator"],
    ["params.a = 1", 9, "it is written == here"],
    ["params.a and 1", 9, "it is written && here"],
    ["foo(1)", 0, "there is no function foo"],
    ["defalt(1, 2)", 0, "did you mean default?"],
    ["join()", 0, "join(list, separator)"],
    ["(1", 2, 'expected ")"'],
    ["[1, 2", 5, 'expected "]"'],
    ["'abc", 0, "a quote that nothing closes"],
    ["steps.", 6, "expected a name after the dot"],
    ["steps.a.mapp(id)", 8, "did you mean map?"],
    ["steps.a.map()", 8, "map takes"],
    ["steps[params.x]", 6, "steps['name']"],
    ["1 < 2 == true", 6, "comparisons do not chain"],
    [`${"(".repeat(60)}1`, 50, "more than 50"],
    ["{a: 1}", 0, "expected a value"],
  ])("%j is refused with a caret at %d", (source, at, problem) => {
    const error = errorOf(() => parseExpression(source));
    const [message, line, caret] = error.message.split("\n");
    expect([error.code, message, line, caret]).toEqual([
      "invalid_argument",
      expect.stringContaining(problem),
      `  ${source}`,
      `  ${" ".repeat(at)}^`,
    ]);
  });

  test.each([
    ["params.epoch", "invalid_argument", "there is no epoch in the pipeline's parameters"],
    ["params.epoch", "invalid_argument", "did you mean epochs?"],
    ["params.constructor", "invalid_argument", "there is no constructor"],
    ["params.n-1", "invalid_argument", "a subtraction has a blank"],
    ["nothing.id", "invalid_argument", "there is no step nothing"],
    [
      "steps.prep.outputs.row",
      "not_found",
      "step prep has not reported output row; it reported: rows, accuracy, ok, list, map (did you mean rows?)",
    ],
    ["steps.prep.outputs.toString", "not_found", "has not reported output toString"],
    [
      "steps.prep.artifacts.dta.url",
      "not_found",
      "artifact dta: step prep left none of that name; it left: data, model.pt, best.ckpt (did you mean data?)",
    ],
    ["steps.prep.artifacts.data.pt", "invalid_argument", "artifact data of step prep has no pt"],
    ["steps.prep.metrics.val/acc/2", "not_found", "has a blank before it"],
    ["steps.prep.metrics.loss.median", "invalid_argument", "has no median; it has: last, min"],
    ["steps.prep.stat", "invalid_argument", "did you mean state?"],
    ["steps.prep", "invalid_argument", "step prep is a step, which is no value"],
    ["steps.off.outputs.x", "not_found", "step off was skipped"],
    ["steps.train.id", "invalid_argument", "step train has 4 members: say which has the id"],
    ["steps.train[9].id", "not_found", "there is no [9]"],
    ["steps.train.map(outputs.x)", "not_found", "step train[0] has not reported output x; it reported: none"],
    ["steps.train.best(metrics.nothing)", "not_found", "none of the 4 members"],
    ["steps.train.best(id, 'most').id", "invalid_argument", "'max' or 'min'"],
    ["steps.prep.map(id)", "invalid_argument", "map() is for a step with a matrix: step prep has none"],
    ["1 > 'a'", "invalid_argument", "have no order"],
    ["1 && true", "invalid_argument", "expected true or false, got 1"],
    ["'a' * 2", "invalid_argument", 'expected a number, got "a"'],
    ["1 / 0", "invalid_argument", "division by zero"],
    ["[1] + 1", "invalid_argument", "add two numbers"],
    ["range(100000)", "invalid_argument", "has 100000 members; the limit is 10000"],
    ["range(1, 2, 0)", "invalid_argument", "has no end"],
    ["secrets.TOKEN", "invalid_argument", "a secret stands in env alone"],
    ["raw(params.n)", "invalid_argument", "for shell scripts alone"],
    ["steps.train.map(task, range(1000))[0][0] + sum(steps.train.map(sum(range(10000))))", "", ""],
  ])("%s: %s %s", (source, code, message) => {
    if (code === "") return expect(value(source)).toBe(4 * 49_995_000);
    const error = errorOf(() => value(source));
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
    expect(error.message).toContain(`\${${source}}: `);
    return undefined;
  });

  test("never takes longer than its limit of steps", () => {
    const many: StepView = { name: "many", state: "completed", members: Array<StepView>(10_000).fill(member(1)) };
    const error = errorOf(() =>
      evaluate(parseExpression("many.map(many.length + length(many.map(matrix.lr)))"), { ...scope, step: () => many }),
    );
    expect(error.message).toContain("more than 250000 steps");
  });

  test("is read or refused, whatever the text", () => {
    const parts = fc.constantFrom(
      "steps",
      ".",
      "a",
      "(",
      ")",
      "[",
      "]",
      "'",
      '"',
      "1",
      "-",
      "+",
      "?",
      ":",
      ",",
      "in",
      "&&",
      "!",
      "map",
      "\\",
      " ",
      "round",
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(parts, fc.string({ maxLength: 3 })), { maxLength: 20 }), (texts) => {
        try {
          evaluate(parseExpression(texts.join("")), scope);
        } catch (error) {
          if (!isNavvyError(error)) throw error;
        }
      }),
    );
  });
});
