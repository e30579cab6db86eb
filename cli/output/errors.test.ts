import { CommanderError } from "commander";
import { expect, test } from "vitest";
import { NavvyError } from "../../protocol/index.js";
import { describeError, errorDocument } from "./errors.js";

test("an error is one line of what, one of why, and lines that can be pasted", () => {
  const error = new NavvyError("not_found", 'queue "gpuu" does not exist', {
    why: "there are: gpu",
    fix: ["use gpu", "navvy queue create gpuu"],
  });
  expect(describeError(error)).toMatch(
    /✖.* queue "gpuu" does not exist\n {2}why: there are: gpu\n {2}fix: use gpu\n {7}navvy queue create gpuu$/,
  );
  expect(JSON.parse(errorDocument(error))).toEqual({
    schema: "navvy.error/1",
    code: "not_found",
    message: 'queue "gpuu" does not exist',
    why: "there are: gpu",
    fix: ["use gpu", "navvy queue create gpuu"],
  });
});

test("a slip in a flag keeps its suggestion", () => {
  const text = describeError(
    new CommanderError(1, "commander.unknownOption", "error: unknown option '--stauts'\n(Did you mean --status?)"),
  );
  expect(text).toContain("unknown option '--stauts'");
  expect(text).toContain("Did you mean --status?");
});

test("a wrong option is told what fits its command", () => {
  const error = new CommanderError(1, "commander.unknownOption", "error: unknown option '--frob'");
  expect(describeError(error, { path: "run" })).toMatch(/go after --: navvy run … -- COMMAND …\n +navvy run --help$/);
  expect(describeError(error, { path: "queue ls" })).toMatch(/--frob'\n {2}fix: navvy queue ls --help$/);
});

test("the chain of causes shows with verbose only", () => {
  const error = new NavvyError("timeout", "late", { cause: new Error("socket hung up") });
  expect(describeError(error)).not.toContain("socket");
  expect(describeError(error, { verbose: true })).toContain("socket hung up");
});
