import type { Command } from "commander";

/** The words that name the command in a command line, `task create`, as far as they are known; "" for none. */
export function commandPath(program: Command, words: string[]): string {
  const path: string[] = [];
  let command = program;
  for (const word of words) {
    if (word === "--") break;
    const next = childOf(command, word);
    if (next) path.push(next.name());
    command = next ?? command;
  }
  return path.join(" ");
}

/** The command below this one that goes by this name or alias. */
export function childOf(command: Command, word: string): Command | undefined {
  return command.commands.find((each) => each.name() === word || each.aliases().includes(word));
}
