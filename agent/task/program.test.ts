import { execa } from "execa";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Parameters } from "../../protocol/index.js";
import { parameterArguments, parameterVariables } from "./parameter-words.js";
import { programOf } from "./program.js";

const PARAMETERS: Parameters = { General: { lr: 0.1, name: "a b", "model.depth": 3, list: [1, "x"] }, Data: { seed: 7, lr: 5 } };
const NONE = { folder: "/x", names: new Set<string>() };
const filled = (command: string[], env: Record<string, string> = {}, parameters = PARAMETERS) =>
  programOf({ command, env, parameters }, NONE);

test("a parameter in a command or in env is its value; what is not navvy's is left alone", () => {
  const words = ["--lr=${params.lr}", "${params.name}", "${params.Data.seed}/${params.Data/lr}", "${params.model.depth}", "${params.list}"];
  expect(filled(["train", ...words]).command).toEqual(["train", "--lr=0.1", "a b", "7/5", "3", '[1,"x"]']);
  const others = ["$${params.lr}", "${HOME}", "${x:-1}", "${oc.env:HOME}", "$params.lr", "${params}", "${parameters.lr}"];
  expect(filled(others).command).toEqual(["${params.lr}", ...others.slice(1)]);
  expect(filled([], { LR: "${params.lr}!" }).env).toEqual({ LR: "0.1!" });
});

test("one that is not there is named, with those that are", () => {
  expect(() => filled(["train", "${params.lrr}"])).toThrow(
    expect.objectContaining({
      code: "setup_failed",
      message: "the command asks for ${params.lrr}, and the task has no such parameter",
      why: "it has: lr, name, model.depth, list, Data.seed, Data.lr",
    }),
  );
  expect(() => filled(["train"], { A: "${params.Data.none}" })).toThrow("env A asks for ${params.Data.none}");
  expect(() => filled(["${params.toString}"])).toThrow("no such parameter");
  expect(() => filled(["${params.constructor.name}"])).toThrow("no such parameter");
});

test("in the script of a shell it is a variable, so that no value is ever read as a part of it", async () => {
  const script = 'printf "%s" "${params.v}"';
  expect(filled(["env", "A=1", "bash", "-lc", script, "${params.v}"], {}, { General: { v: "x" } }).command).toEqual([
    ...["env", "A=1", "bash", "-lc", 'printf "%s" "${NAVVY_PARAM_V}"', "x"],
  ]);
  const evil = fc.oneof(
    fc.string(),
    fc.constantFrom("$(touch /tmp/x)", "`id`", "'; exit 9; '", '"; exit 9; "', "a\nexit 9", "\\", "$HOME", "-n"),
  );
  await fc.assert(
    fc.asyncProperty(
      evil.filter((v) => !v.includes("\0")),
      async (v) => {
        const parameters = { General: { v } };
        const [program = "", ...args] = filled(["sh", "-c", script], {}, parameters).command;
        const { stdout } = await execa(program, args, { env: parameterVariables(parameters), stripFinalNewline: false });
        expect(stdout).toBe(v);
      },
    ),
    { numRuns: 25 },
  );
});

test("flags are as argparse has them", () => {
  const values = { lr: 0.1, name: "a b", minus: -1, dash: "-x", empty: "", on: true, off: false, none: null, list: [1, "two"], no: [] };
  expect(parameterArguments({ General: { ...values, map: { a: [1] } }, Data: { seed: 7, shuffle: false } }, "flags")).toEqual([
    ...["--lr", "0.1", "--name", "a b", "--minus=-1", "--dash=-x", "--empty", "", "--on", "--no-off"],
    ...["--list", "1", "two", "--no", "--map", '{"a":[1]}', "--Data.seed", "7", "--no-Data.shuffle"],
  ]);
});

test("argparse reads the flags back as the parameters were", async () => {
  const code = `
import argparse, json, sys
p = argparse.ArgumentParser()
for name in ("--text", "--Data.text"): p.add_argument(name)
p.add_argument("--number", type=float)
p.add_argument("--on", action=argparse.BooleanOptionalAction)
p.add_argument("--list", type=int, nargs="*")
p.add_argument("--map", type=json.loads)
print(json.dumps(vars(p.parse_args())))`;
  const values = { text: "-a\n'b' \"c\" $d", number: -2.5e-7, on: false, list: [3, -4], map: { a: [1, { b: null }] } };
  const { stdout } = await execa("python3", ["-c", code, ...parameterArguments({ General: values, Data: { text: "é" } }, "flags")]);
  expect(JSON.parse(stdout)).toEqual({ ...values, "Data.text": "é" });
});

// Hydra can not be installed where these tests run: its grammar of overrides is followed by hand.
test("overrides of Hydra keep their types: what could be read as anything else is quoted", () => {
  const of = (value: Parameters[string][string]) => parameterArguments({ General: { v: value } }, "hydra")[0]?.slice(2);
  expect([0.1, -3, 1e-7, true, false, null, Number.NaN, Number.NEGATIVE_INFINITY].map(of)).toEqual([
    ...["0.1", "-3", "1e-7", "true", "false", "null", "nan", "-inf"],
  ]);
  expect(["adamw", "/data/x-1.csv", "a_b", "resnet50"].map(of)).toEqual(["adamw", "/data/x-1.csv", "a_b", "resnet50"]);
  expect(["", "true", "NULL", "10", "1e3", "a b", "a,b", "k=v", "{a:1}", "[1]", "x:y", "ä", "$5", "a\nb"].map(of)).toEqual([
    ...["''", "'true'", "'NULL'", "'10'", "'1e3'", "'a b'", "'a,b'", "'k=v'", "'{a:1}'", "'[1]'", "'x:y'", "'ä'", "'$5'", "'a\nb'"],
  ]);
  // The example of Hydra's own documentation, and backslashes that are no escapes.
  expect(of("the path is C:\\'some folder'\\")).toBe("'the path is C:\\\\\\'some folder\\'\\\\'");
  expect(of("C:\\dir x")).toBe("'C:\\dir x'");
  expect(of("${data.root}/x")).toBe("'${data.root}/x'");
  expect(of([1, "a b", ["x", null]])).toBe("[1,'a b',[x,null]]");
  expect(of({ depth: 3, "a:b c": { on: true } })).toBe("{depth:3,a\\:b\\ c:{on:true}}");
  expect(parameterArguments({ General: { "+new": 1 }, optim: { lr: 0.1 } }, "hydra")).toEqual(["+new=1", "optim.lr=0.1"]);
});

test("they follow the command; behind the script of a shell they are its arguments", () => {
  const base = { env: {}, parameters: { General: { lr: 0.1 } } };
  expect(programOf({ ...base, command: ["train.py", "x"], parametersAs: "hydra" }, NONE).command).toEqual(["train.py", "x", "lr=0.1"]);
  const script = 'python train.py "$@"';
  expect(programOf({ ...base, command: ["sh", "-c", script], parametersAs: "flags" }, NONE).command).toEqual([
    "sh",
    "-c",
    script,
    "sh",
    "--lr",
    "0.1",
  ]);
  expect(programOf({ ...base, command: ["sh", "-c", script, "me"], parametersAs: "flags" }, NONE).command.slice(3)).toEqual([
    "me",
    "--lr",
    "0.1",
  ]);
  expect(programOf({ ...base, command: ["sh", "-c", script] }, NONE).command).toEqual(["sh", "-c", script]);
});

test("the path of an input stands where it is asked for, whole in a shell too", async () => {
  const inputs = { folder: "/a b/inputs", names: new Set(["data", "prep.model.pt"]) };
  const spec = {
    command: ["train", "--data=${inputs.data}", "$${inputs.data}", "${inputs}"],
    env: { MODEL: "${inputs.prep.model.pt}" },
    parameters: { General: { files: ["${inputs.data}"] } },
  };
  expect(programOf(spec, inputs)).toEqual({
    command: ["train", "--data=/a b/inputs/data", "${inputs.data}", "${inputs}"],
    env: { MODEL: "/a b/inputs/prep.model.pt" },
  });
  expect(programOf({ ...spec, command: ["x"], parametersAs: "flags" }, inputs).command).toEqual(["x", "--files", "/a b/inputs/data"]);
  const script = `printf '[%s]' \${inputs.data} "--d=\${inputs.data}" 'is \${inputs.data}' "it's \${inputs.data}"`;
  const { command } = programOf({ command: ["sh", "-c", script], env: {}, parameters: {} }, inputs);
  const { stdout } = await execa(command[0] ?? "", command.slice(1), { env: { NAVVY_INPUTS: inputs.folder } });
  const path = "/a b/inputs/data";
  expect(stdout).toBe(`[${path}][--d=${path}][is ${path}][it's ${path}]`);
  const commented = programOf(
    { command: ["sh", "-c", "# don't\nprintf %s x#'a' ${inputs.data}"], env: {}, parameters: {} },
    inputs,
  ).command;
  const said = await execa(commented[0] ?? "", commented.slice(1), { env: { NAVVY_INPUTS: inputs.folder } });
  expect(said.stdout).toBe(`x#a${path}`);
  expect(() => programOf({ ...spec, command: ["train", "${inputs.dta}"] }, inputs)).toThrow('the path of input "dta"');
});
