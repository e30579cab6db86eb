import type { Command } from "commander";
import fc from "fast-check";
import { expect, test } from "vitest";
import { commandPath } from "./command-path.js";
import { makeProgram } from "./program.js";

/** The program with `run`'s work taken out: gives the words that would be the task's command. */
async function wordsOf(args: string[]): Promise<string[]> {
  const program = makeProgram();
  let words: string[] = [];
  const run = program.commands.find((command) => command.name() === "run");
  run?.action((command: string[]) => void (words = command));
  await program.parseAsync(["node", "navvy", ...args]);
  return words;
}

test("whatever stands after -- belongs to the task, word for word", async () => {
  const word = fc.oneof(fc.string(), fc.constantFrom("-o", "--json", "--", "-q", "--help", "-h", "help", "--version", "run", "task", "-s"));
  await fc.assert(
    fc.asyncProperty(
      fc.array(word, { minLength: 1 }),
      fc.constantFrom([], ["-n", "name"], ["-d"], ["--gpus", "1"]),
      async (command, flags) => {
        expect(await wordsOf(["run", ...flags, "--", ...command])).toEqual(command);
        expect(await wordsOf(["-o", "json", "run", ...flags, "--", ...command])).toEqual(command);
      },
    ),
  );
});

test("global flags are understood before and after the command's name", async () => {
  for (const args of [
    ["-o", "json", "task", "ls"],
    ["task", "-o", "json", "ls"],
    ["task", "ls", "-o", "json"],
  ]) {
    const program = makeProgram();
    const ls = program.commands.find((command) => command.name() === "task")?.commands.find((command) => command.name() === "ls");
    let seen: unknown;
    ls?.action((_options: unknown, command: Command) => void (seen = command.optsWithGlobals()["output"]));
    await program.parseAsync(["node", "navvy", ...args]);
    expect(seen).toBe("json");
  }
});

test("help on a command that is not there is refused", async () => {
  for (const args of [
    ["frobnicate", "--help"],
    ["task", "frobnicate", "--help"],
  ])
    await expect(makeProgram().parseAsync(["node", "navvy", ...args])).rejects.toMatchObject({ code: "commander.unknownCommand" });
  const program = makeProgram();
  for (const command of [program, ...program.commands]) command.configureOutput({ writeOut: () => {} });
  await expect(program.parseAsync(["node", "navvy", "task", "help"])).rejects.toMatchObject({ exitCode: 0 });
});

test("the words before -- name the command, by alias too", () => {
  expect(commandPath(makeProgram(), ["-o", "json", "t", "ls", "--frob"])).toBe("task ls");
  expect(commandPath(makeProgram(), ["run", "-n", "x", "--", "task", "ls"])).toBe("run");
  expect(commandPath(makeProgram(), ["frobnicate"])).toBe("");
});

test("every command and flag says what it is for", () => {
  const visit = (command: Command, path: string): void => {
    expect(command.description(), path).not.toBe("");
    for (const option of command.options) expect(option.description, `${path} ${option.flags}`).not.toBe("");
    for (const each of command.commands) visit(each, `${path} ${each.name()}`);
  };
  visit(makeProgram(), "navvy");
});

test("no two flags of one command are the same, globals included", () => {
  const visit = (command: Command, above: string[]): void => {
    const own = command.options
      .flatMap((option) => [option.short, option.long])
      .filter((flag): flag is string => flag !== undefined && flag !== "--version");
    const all = [...above, ...own];
    expect(new Set(all).size, `${command.name()}: ${all.join(" ")}`).toBe(all.length);
    for (const each of command.commands) visit(each, all);
  };
  visit(makeProgram(), []);
});
