import { describe, expect, test } from "vitest";
import type { ParameterValue } from "../../protocol/index.js";
import { errorOf, scope } from "../../test/support/expression-scope.js";
import { expressionsIn, fill, parseExpression, referencesIn, usesStatus } from "./index.js";

describe("a template", () => {
  test.each<[ParameterValue, ParameterValue]>([
    ["${params.epochs}", 10],
    ["${params.lrs}", [1e-3, 3e-4]],
    ["n=${params.epochs}, ${params.lrs}${params.none}", "n=10, [0.001,0.0003]"],
    [
      { a: ["${params.deploy}", 5], "${params.n}": null },
      { a: [true, 5], "${params.n}": null },
    ],
    ["${HOME} ${x:-1} ${a[0]} ${#a} $x $", "${HOME} ${x:-1} ${a[0]} ${#a} $x $"],
    ["$${params.n} $${HOME}", "${params.n} ${HOME}"],
    ["${inputs.data}", "${inputs.data}"],
    ["${default(params.none, '}')}", "}"],
    ["${round}/${round}", "2/2"],
    ["${x:-${params.n}}", "${x:-3}"],
    ["${steps.prep.artifacts.data.path}/x", "${inputs.P1_data}/x"],
  ])("%j becomes %j", (template, expected) => expect(fill(template, scope)).toEqual(expected));

  test("leaves ${round} alone outside of a loop, and refuses one that nothing closes", () => {
    const { round: _, ...outside } = scope;
    expect(fill("${round}", outside)).toBe("${round}");
    expect(errorOf(() => fill("${params.n", scope)).message).toContain("nothing closes it");
  });

  test("fills nothing into what was filled in", () => {
    expect(fill("${params.name} x", { ...scope, params: { name: "${params.name}" } })).toBe("${params.name} x");
  });
});

describe("references", () => {
  const short = (value: ParameterValue) =>
    referencesIn(value).map(({ root, step, path }) => [root, ...(step === undefined ? [] : [step]), ...path].join(" "));
  test.each<[ParameterValue, string[]]>([
    ["${steps.prep.artifacts.data.url} ${pipeline.lr} ${HOME}", ["steps prep artifacts data url", "params lr"]],
    [{ a: ["${prep.parameters.General/lr}"], b: "${steps['my-step'].outputs['a b']}" }, ["steps prep parameters General/lr"]],
    ["${default(my-step.id, matrix.lr + run.number)}", ["steps my-step id", "matrix lr", "run number"]],
    ["${steps.train.map(task, metrics.a.last + params.n)}", ["steps train * metrics a last", "params n", "steps train *"]],
    ["${steps.train.best(t.x).artifacts.model.url}", ["steps t x", "steps train * artifacts model url"]],
    ["${steps.train[steps.pick.outputs.best].id}", ["steps pick outputs best", "steps train * id"]],
    ["${prep.models.output.-1.url}", ["steps prep models output -1 url"]],
    ["${params.lrs[0]}", ["params lrs 0"]],
    ["${secrets.TOKEN} ${round}", ["secrets TOKEN", "round"]],
    [{ a: "$${params.x}" }, []],
  ])("of %j", (value, expected) => {
    if (typeof value === "object" && value !== null && "b" in value) {
      expect(short(value)).toEqual(expected);
      expect(referencesIn(parseExpression("steps['my-step'].outputs['a b']"))).toEqual([
        {
          root: "steps",
          step: "my-step",
          path: ["outputs", "a b"],
          text: "steps['my-step'].outputs['a b']",
          source: "steps['my-step'].outputs['a b']",
          at: 0,
        },
      ]);
    } else expect(short(value)).toEqual(expected);
  });

  test("tell whether the parents' status is asked for", () => {
    expect([usesStatus(parseExpression("params.x || always()")), usesStatus(parseExpression("params.always"))]).toEqual([true, false]);
    expect(expressionsIn({ a: ["${params.x}", "${y}"] }).map(({ source }) => source)).toEqual(["params.x"]);
  });
});
