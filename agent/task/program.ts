import { basename } from "node:path";
import { NavvyError, type Parameters, type TaskSpec } from "../../protocol/index.js";
import { type Inputs, parametersWithPaths, withPaths, withPathsInScript } from "./input-words.js";
import { parameterArguments, pathOf, textOf, variableOf } from "./parameter-words.js";

type Asked = Pick<TaskSpec, "command" | "env" | "parameters" | "parametersAs">;

/** What a task runs once its parameters are in it, and its own environment. */
export interface Program {
  command: string[];
  env: Record<string, string>;
}

/**
 * `${params.lr}` in a command or in `env` is the parameter's value, `${params.Data.seed}` one of another section; `$${params.` stands
 * for itself, and every other `${…}` is left alone: it is the shell's, or Hydra's. `${inputs.data}` is the path of an input.
 *
 * No value is ever read by a shell as a part of its script: in the script of `sh -c` it becomes the variable that holds it.
 * @throws NavvyError setup_failed: there is no such parameter or input
 */
export function programOf({ command, env, parameters: asked, parametersAs }: Asked, inputs: Inputs): Program {
  const script = scriptIn(command);
  const parameters = parametersWithPaths(asked, inputs);
  const filled = command.map((word, at) => {
    const text = fill(word, parameters, { where: "the command", isScript: at === script });
    return at === script ? withPathsInScript(text, inputs) : withPaths(text, inputs);
  });
  const added = parametersAs === undefined ? [] : parameterArguments(parameters, parametersAs);
  // What follows a script is its $0 first, so that "$@" is what was added.
  const zero = added.length > 0 && script === command.length - 1 ? [command[0] ?? "sh"] : [];
  const entries = Object.entries(env).map(([name, text]) => [name, withPaths(fill(text, parameters, { where: `env ${name}` }), inputs)]);
  return { command: [...filled, ...zero, ...added], env: Object.fromEntries(entries) as Record<string, string> };
}

const PLACEHOLDER = /(\$?)\$\{params\.([^{}]*)\}/g;

function fill(text: string, parameters: Parameters, { where, isScript = false }: { where: string; isScript?: boolean }): string {
  return text.replace(PLACEHOLDER, (whole, escape: string, asked: string) => {
    if (escape !== "") return whole.slice(1);
    const found = find(parameters, asked);
    if (found === undefined) throw unknown(parameters, asked, where);
    const [section, name] = found;
    const value = parameters[section]?.[name];
    return isScript ? `\${${variableOf(section, name)}}` : textOf(value ?? null);
  });
}

/** Where a parameter is: of General by its name, else `Section.name` or `Section/name`. */
function find(parameters: Parameters, asked: string): [section: string, name: string] | undefined {
  const has = (section: string, name: string) =>
    Object.hasOwn(parameters, section) && Object.hasOwn(parameters[section] ?? {}, name)
      ? ([section, name] as [string, string])
      : undefined;
  const [, section = "", name = ""] = /^(.*?)[./](.*)$/s.exec(asked) ?? [];
  return has("General", asked) ?? has(section, name);
}

function unknown(parameters: Parameters, asked: string, where: string): NavvyError {
  const names = Object.entries(parameters).flatMap(([section, values]) => Object.keys(values).map((name) => pathOf(section, name)));
  return new NavvyError("setup_failed", `${where} asks for \${params.${asked}}, and the task has no such parameter`, {
    why: `it has: ${names.join(", ") || "none"}`,
    fix: [`-p ${/[./]/.test(asked) ? asked.replace(/[./]/, "/") : `General/${asked}`}=VALUE`, `$\${params.${asked}} for these very words`],
  });
}

const SHELLS = /^(?:sh|bash|dash|ash|zsh|ksh|mksh|fish|csh|tcsh|busybox)$/;
/** Options of shells whose next word belongs to them. */
const WITH_WORD = /^(?:[-+][oO]|--(?:rcfile|init-file))$/;

/** Which word of a command a shell reads as its script: `sh -c SCRIPT`, `env A=1 bash -lc SCRIPT`; not that of `bash FILE -c WORD`. */
function scriptIn(command: readonly string[]): number | undefined {
  const shell = command.findIndex((word) => SHELLS.test(basename(word)));
  if (shell < 0) return undefined;
  let isScript = false;
  for (let at = shell + 1; at < command.length; at++) {
    const word = command[at] ?? "";
    if (basename(command[at - 1] ?? "") === "busybox" && SHELLS.test(word)) continue;
    if (!/^[-+]./.test(word)) return isScript ? at : undefined;
    isScript ||= /^-[A-Za-z]*c[A-Za-z]*$/.test(word);
    if (WITH_WORD.test(word)) at++;
  }
  return undefined;
}
