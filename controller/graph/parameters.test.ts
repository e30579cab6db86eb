import { describe, expect, test } from "vitest";
import type { ParameterValue } from "../../protocol/index.js";
import { checkParameters, type NewGraph } from "./index.js";

const graph: Pick<NewGraph, "name" | "parameters"> = {
  name: "p",
  parameters: {
    epochs: { type: "int", min: 1, max: 100 },
    lr: { type: "float", default: 0.1 },
    lrs: { type: "list", of: "float", default: [] },
    names: { type: "list", default: ["a"] },
    deploy: { type: "bool", default: false },
    image: { type: "string", default: null, choices: ["a", "b", "3"] },
    anything: { default: "x" },
  },
};
const read = (given: Record<string, ParameterValue>) => checkParameters(graph, { epochs: 1, ...given });

describe("parameters of a run", () => {
  test.each<[string, ParameterValue, ParameterValue]>([
    ["epochs", "3", 3],
    ["epochs", 3, 3],
    ["lr", "1e-3", 0.001],
    ["lrs", "0.1,0.2", [0.1, 0.2]],
    ["lrs", "[0.1, 2]", [0.1, 2]],
    ["lrs", "", []],
    ["names", "a,1,true", ["a", 1, true]],
    ["deploy", "yes", true],
    ["deploy", "FALSE", false],
    ["image", "3", "3"],
    ["anything", '{"a": [1]}', { a: [1] }],
    ["anything", "2026-01", "2026-01"],
    ["anything", "hello", "hello"],
    ["anything", "12345678901234567890", "12345678901234567890"],
  ])("%s=%j is %j", (name, given, expected) => expect(read({ [name]: given })[name]).toEqual(expected));

  test("are the defaults where nothing is given", () => {
    expect(read({})).toEqual({ epochs: 1, lr: 0.1, lrs: [], names: ["a"], deploy: false, image: null, anything: "x" });
  });

  test.each<[Record<string, ParameterValue>, string]>([
    [{ epoch: 3 }, 'parameters.epoch: the pipeline has no parameter "epoch", did you mean "epochs"?'],
    [{ epochs: "3.5" }, "parameters.epochs: 3.5 is not a whole number"],
    [{ epochs: "many" }, 'parameters.epochs: "many" is not a whole number'],
    [{ epochs: 0 }, "parameters.epochs: 0 is below its min, 1"],
    [{ epochs: 101 }, "parameters.epochs: 101 is above its max, 100"],
    [{ lrs: "0.1,x" }, 'parameters.lrs: member 1 of the list, "x", is not a number'],
    [{ deploy: "perhaps" }, 'parameters.deploy: "perhaps" is not true or false'],
    [{ image: "c" }, 'parameters.image: "c" is none of its choices; there are: a, b, 3'],
    [{ constructor: 1 }, 'the pipeline has no parameter "constructor"'],
  ])("%j is refused", (given, message) => expect(() => read(given)).toThrow(message));

  test("that are missing are named, with all that is wrong", () => {
    expect(() => checkParameters(graph, { deploy: 5 })).toThrow(
      "parameters of pipeline p: 2 problems\n  parameters.epochs: it has no default and must be given\n  parameters.deploy: 5 is not true or false",
    );
  });
});
