import tab from "@bomb.sh/tab/commander";
import type { Command } from "commander";

const HOW_TO = `
bash:  source <(navvy completion bash)      in ~/.bashrc; needs the package bash-completion
zsh:   source <(navvy completion zsh)       in ~/.zshrc, after compinit
fish:  navvy completion fish > ~/.config/fish/completions/navvy.fish`;

/** `navvy completion SHELL` and the hidden `navvy complete` that the shells ask. The only place that knows the library (0.0.x). */
export function completionCommand(program: Command): void {
  tab(program, { completionCommandName: "completion" });
  program.commands.find((command) => command.name() === "completion")?.addHelpText("after", HOW_TO);
}
