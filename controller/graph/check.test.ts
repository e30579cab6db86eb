import { describe, expect, test } from "vitest";
import { isNavvyError } from "../../protocol/index.js";
import { checkGraph, type NewGraph } from "./index.js";

type NewStep = NewGraph["steps"][number];
const task = (spec: NewStep["overrides"] = {}, script = "true"): NewStep["action"] => ({ kind: "task", spec: spec as never, script });
const step = (name: string, more: Partial<NewStep> = {}): NewStep => ({ name, action: task(), ...more }) as NewStep;
const graph = (steps: NewStep[], more: Partial<NewGraph> = {}): NewGraph => ({
  type: "navvy.pipeline.v1",
  name: "p",
  parameters: {
    epochs: { type: "int", default: 10 },
    lrs: { type: "list", of: "float", default: [0.1, 0.01] },
    deploy: { type: "bool", default: false },
    image: { type: "string", default: "a" },
  },
  steps,
  ...more,
});

function problemsOf(given: NewGraph): string[] {
  try {
    checkGraph(given);
    return [];
  } catch (error) {
    if (!isNavvyError(error, "invalid_argument")) throw error;
    return (error.detail["problems"] as { path: string; message: string }[]).map(({ path, message }) => `${path}: ${message}`);
  }
}

const prep = step("prep", { outputs: ["rows"], artifacts: ["data", "plots/*.png"], place: "4:3" });
const train = step("train", { matrix: { lr: "${params.lrs}", seed: [0, 1] }, parents: ["prep"], outputs: ["accuracy"] });

describe("a graph", () => {
  test("without faults gives its order and who waits for whom", () => {
    const checked = checkGraph(
      graph(
        [
          step("deploy", {
            when: "params.deploy && steps.pick.outputs.accuracy > 0.9",
            parents: ["pick"],
            action: {
              kind: "pipeline",
              pipeline: graph([step("go", { action: task({}, "echo ${params.image}") })]) as never,
              with: { image: "${pick.id}" },
            },
          }),
          step("pick", {
            parameters: { "General/runs": "${steps.train.map(task, metrics.accuracy.last)}" },
            action: task({ env: { ROUND: "${round}", HOME: "${HOME}/x" }, resources: { gpus: "${params.epochs}" } }),
            outputs: ["best", "accuracy"],
          }),
          train,
          step("again", { until: { condition: "steps.again.outputs.x > 1 || round > 3", limit: 9 }, action: task({}, "echo ${round}") }),
          prep,
          step("use", {
            inputs: { model: "steps.train[steps.pick.outputs.best].artifacts['model.pt']" },
            action: {
              kind: "function",
              arguments: { image: "${steps.prep.artifacts['plots/a.png'].path}" },
            },
          }),
        ],
        {
          finally: [step("clean", { action: task({}, "echo ${steps.deploy.state} ${first.id}") }), step("first")],
          outputs: { best: "${pick.outputs.best}" },
        },
      ),
    );
    expect(checked.order).toEqual(["again", "prep", "train", "pick", "deploy", "use", "first", "clean"]);
    expect(checked.parentsOf("pick")).toEqual(["train"]);
    expect(checked.parentsOf("deploy")).toEqual(["pick"]);
    expect(checked.parentsOf("use").toSorted()).toEqual(["pick", "prep", "train"]);
    expect(checked.childrenOf("prep").toSorted()).toEqual(["train", "use"]);
    expect(checked.parentsOf("clean")).toEqual(["first"]);
    expect([checked.isFinally("clean"), checked.isFinally("prep"), checked.step("prep").onFailure]).toEqual([true, false, "stop"]);
    expect(() => checked.step("nothing")).toThrow("there is no step nothing");
  });

  const script = (text: string, more: Partial<NewStep> = {}) => graph([prep, train, step("s", { action: task({}, text), ...more })]);
  const faults: [NewGraph, string][] = [
    [script("${steps.pre.id}"), 'steps.s.action.script: there is no step "pre", did you mean "prep"?'],
    [script("${pram.id}"), 'there is no step "pram"; there are: params, pipeline'],
    [script("${param.id}"), 'there is no step "param", did you mean "params"?'],
    [script("${steps.prep.outputs.row}"), 'step "prep" has no output "row", did you mean "rows"?'],
    [script("${steps.prep.artifacts.dta.path}"), 'step "prep" has no artifact "dta", did you mean "data"?'],
    [script("${steps.prep.artifacts['x.png'].path}"), 'step "prep" has no artifact "x.png"; it declares: data, plots/*.png'],
    [script("${steps.prep.artifacts.data.pathh}"), 'an artifact has no "pathh", did you mean "path"?'],
    [script("${steps.prep.metrics.val/acc.maxx}"), 'a metric has no "maxx", did you mean "max"?'],
    [script("${steps.prep.models.outputs}"), 'models has no "outputs"; there are: input, output'],
    [script("${steps.prep.stat}"), 'a step has no "stat", did you mean "state"?'],
    [script("${steps.prep[0].id}"), "step prep has no matrix: it is one task"],
    [script("${steps.train.outputs.accuracy}"), "step train has a matrix: say which of its tasks"],
    [script("${steps.train.map(outputs.acuracy)}"), 'step "train" has no output "acuracy", did you mean "accuracy"?'],
    [script("${steps.train.best(outputs.accuracy).matrix.lrr}"), 'the matrix of step "train" has no "lrr"'],
    [script("${params.epoch}"), 'the pipeline has no parameter "epoch", did you mean "epochs"?'],
    [script("${params.epochs-1}"), "a subtraction has a blank before the -"],
    [script("${run.nme}"), 'run has no nme, did you mean "name"?'],
    [script("${matrix.lr}"), "matrix is there only in a step that has one"],
    [script("${matrix.lrr}", { matrix: { lr: [1] } }), 'the matrix has no "lrr", did you mean "lr"?'],
    [script("", { matrix: { lr: [1], b: "${matrix.lr}" } }), "steps.s.matrix.b: matrix has no value yet in matrix"],
    [script("", { matrix: { lr: [1] }, when: "matrix.lr > 0" }), "matrix has no value yet in when"],
    [script("", { when: "round > 1" }), "round is there only in a step that runs again"],
    [script("${secrets.TOKEN}"), "secrets.TOKEN stands outside of env"],
    [script("${s.id}"), "a step can not ask for what itself gives"],
    [script("", { when: "steps.prep.outputs.rows > 1" }), "steps.s.when: it asks for step prep, which the step does not wait for"],
    [script("", { when: "${params.deploy}" }), "write it without ${ and }"],
    [script("", { when: "params.epochs" }), "it has to be true or false, and is a number"],
    [script("", { when: "params.deploy > 1" }), "a bool is compared with a number (>)"],
    [script("", { when: "params.deploy == 1" }), "a bool is compared with a number (==)"],
    [script("", { when: "params.epochs && true" }), '"&&" wants true or false, and gets a number'],
    [script("${run.number + params.image * 2}"), '"*" wants numbers, and gets a text'],
    [script("${params.lrs + 1}"), "a list and a number can not be added"],
    [script("", { when: "params.x >" }), "steps.s.when: the expression can not be read: expected a value\n  params.x >"],
    [script("cat <<E\n${params.image}\nE"), "${params.image} in line 2 of the script: it stands in a here-document"],
    [script("echo $'a' ${run.id} # ${run.name}"), "${run.id} in line 1 of the script: there is a $'…' before it"],
    [script("${foo(1)}"), "there is no function foo"],
    [script("${steps['prep'].id}"), "${steps['prep'].id} is left to the shell as it is"],
    [graph([step("my-step"), step("s", { action: task({}, "${my-step.id}") })]), "${my-step.id} is left to the shell as it is"],
    [script("${ params.epochs }"), "is left to the shell as it is"],
    [script("", { parents: ["prepp"] }), 'steps.s.parents.0: there is no step "prepp", did you mean "prep"?'],
    [script("", { parents: ["s"] }), "a step can not wait for itself"],
    [script("", { parameters: { lr: 1 } }), "steps.s.parameters.lr: a task's parameter has a section"],
    [script("", { overrides: { resorces: {} } }), 'steps.s.overrides.resorces: a task has no "resorces", did you mean "resources"?'],
    [script("", { overrides: { resources: { gpu: 1 } } }), 'steps.s.overrides.resources.gpu: a task has no "gpu", did you mean "gpus"?'],
    [script("", { overrides: { resources: { gpus: "two" } } }), "steps.s.overrides.resources.gpus: Invalid input"],
    [script("", { action: task({ container: {} }) }), "steps.s.action.spec.container.image: it is missing"],
    [script("", { action: { kind: "task", spec: {} } }), "there is nothing to run"],
    [script("", { action: task({ command: ["a"] }) }), "it has a command and a script"],
    [script("", { queue: "a b" }), "steps.s.queue: queue name"],
    [script("", { queue: "${params.quue}" }), 'no parameter "quue"'],
    [script("", { maxParallel: 2 }), "it is for a step with a matrix"],
    [script("", { matrix: { lr: "${params.epochs}" } }), "steps.s.matrix.lr: ${params.epochs} is a number, not a list"],
    [script("", { matrix: { lr: "a" } }), '"a" is not a list; write [a]'],
    [script("", { matrix: { lr: 5 } }), "5 is not a list"],
    [script("", { matrix: { lr: [] } }), "the list is empty"],
    [script("", { matrix: { lr: Array<number>(100_000).fill(1) } }), "steps.s.matrix: it has 100000 members; the limit is 10000"],
    [script("", { matrix: { lr: "${range(100000)}" } }), "has 100000 members; the limit is 10000"],
    [
      script("", { matrix: { a: Array<number>(200).fill(1), b: Array<number>(200).fill(1), c: "${params.lrs}" } }),
      "it has at least 40000 members",
    ],
    [script("", { earlyStop: "loss >" }), "steps.s.earlyStop: the condition can not be read"],
    [graph([prep, step("prep")]), "there are two steps of that name; the first is at 4:3"],
    [graph([step("params")]), 'a step can not be called "params"'],
    [graph([step("1x")]), "a name begins with a letter"],
    [graph([]), "steps: there are none"],
    [graph([prep], { finally: [step("clean", { parents: ["prep"] })] }), "step prep is over before any finally-step runs"],
    [graph([step("a", { parents: ["clean"] })], { finally: [step("clean")] }), "step clean is a finally-step"],
    [graph([step("a", { action: task({}, "${clean.id}") })], { finally: [step("clean")] }), "step clean is a finally-step"],
    [graph([prep], { outputs: { a: "${steps.prep.outputs.row}" } }), 'outputs.a: step "prep" has no output "row"'],
    [graph([prep], { parameters: { a: { type: "int", default: "x" } } }), 'parameters.a.default: "x" is not a whole number'],
    [graph([prep], { parameters: { a: { type: "int", default: 1, min: 2 } } }), "parameters.a.default: 1 is below its min, 2"],
    [graph([prep], { parameters: { a: { type: "string", default: "x", choices: ["y", "z"] } } }), '"x" is none of its choices'],
    [
      graph([prep], { parameters: { a: { type: "list", of: "int", default: [1, "b"] } } }),
      'member 1 of the list, "b", is not a whole number',
    ],
    [graph([prep], { parameters: { a: { type: "string", min: 2 } } }), "min and max are for numbers"],
  ];
  test.each(faults.map(([given, expected]) => [expected, given] as const))("is refused: %s", (expected, given) => {
    expect(problemsOf(given).join("\n")).toContain(expected);
  });

  test("names the way round of a cycle", () => {
    const of = (name: string, parent: string) => step(name, { action: task({}, `\${steps.${parent}.id}`) });
    expect(problemsOf(graph([prep, of("a", "c"), of("b", "a"), of("c", "b"), of("d", "c")]))).toEqual([
      "steps: steps wait for each other: a → b → c → a",
    ]);
  });

  test("looks into pipelines that are steps, and at what they are given", () => {
    const nested = graph([step("in", { action: task({}, "${steps.prep.id}") })], {
      parameters: { a: { type: "int" }, b: { type: "int", default: 1 } },
    });
    const given = graph([prep, step("sub", { action: { kind: "pipeline", pipeline: nested as never, with: { b: "x", cc: 1 } } })]);
    expect(problemsOf(given).toSorted()).toEqual([
      "steps.sub.action.with.a: it has no default and must be given",
      'steps.sub.action.with.b: "x" is not a whole number',
      'steps.sub.action.with.cc: the pipeline has no parameter "cc"; there are: a, b',
      'steps.sub.pipeline.steps.in.action.script: there is no step "prep"; there are: in',
      'steps.sub.pipeline.steps.in: a step can not be called "in": expressions begin with it',
    ]);
    const round = graph([step("again")]);
    round.steps[0]!.action = { kind: "pipeline", pipeline: round as never };
    expect(problemsOf(round).join()).toContain("a step of itself");
  });

  test("tells all of them at once, each with its place, and how to put it right", () => {
    try {
      checkGraph(graph([prep, step("s", { place: "9:3", parents: ["prepp"], parameters: { lr: "${params.epoch}" } })]));
      expect("it was taken").toBe("");
    } catch (error) {
      expect(error).toMatchObject({
        code: "invalid_argument",
        message: [
          "pipeline p: 3 problems",
          "  9:3 steps.s.parameters.lr: a task's parameter has a section",
          '  9:3 steps.s.parents.0: there is no step "prepp", did you mean "prep"?',
          '  9:3 steps.s.parameters.lr: the pipeline has no parameter "epoch", did you mean "epochs"?',
        ].join("\n"),
        fix: ["General/lr"],
      });
    }
  });

  test("of 10,000 steps takes time that grows with their number alone", () => {
    const chain = (count: number) =>
      graph(
        Array.from({ length: count }, (_, i) =>
          step(`s${i}`, i === 0 ? {} : { action: task({}, `echo \${steps.s${i - 1}.outputs.x} \${params.epochs}`) }),
        ),
      );
    const timeOf = (count: number) => {
      const given = chain(count);
      const since = process.cpuUsage();
      expect(checkGraph(given).order).toHaveLength(count);
      return process.cpuUsage(since).user;
    };
    timeOf(1000);
    const [small, large] = [Math.min(timeOf(1000), timeOf(1000)), timeOf(10_000)];
    expect(large / small).toBeLessThan(40);
    expect(() => checkGraph(graph(Array.from({ length: 10_000 }, (_, i) => step(`s${i}`, { parents: [`t${i}`] }))))).toThrow(
      "100 problems",
    );
  });
});

test("a step that runs again until something holds is not taken from the cache", () => {
  const step = { name: "a", action: { kind: "task" as const, spec: {}, script: "true" }, cache: "use" as const };
  const graph = { type: "navvy.pipeline.v1" as const, name: "p", steps: [{ ...step, until: { condition: "round > 1", limit: 3 } }] };
  expect(() => checkGraph(graph)).toThrow("can not be taken from the cache");
});
