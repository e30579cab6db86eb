import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve, sep } from "node:path";
import { NavvyError } from "../protocol/index.js";

/** A program as a fleet can run it: a folder, and the command inside it. */
export interface Program {
  folder: string;
  command: string[];
  /** Files that the folder lacks and the program needs to run alone. */
  additions: Record<string, string>;
}

const RUNNERS: Record<string, string> = { js: "node", mjs: "node", cjs: "node", ts: "tsx", mts: "tsx", cts: "tsx" };

/** This process's script and its arguments. */
export function ownCommandLine(): string[] {
  // oxlint-disable-next-line eslint/no-restricted-properties -- a program that sends itself elsewhere has to know what it was started as
  return process.argv.slice(1);
}

/**
 * The program that a command line runs: the folder given, else the nearest one with a package.json, else the script's own.
 * @throws NavvyError invalid_argument (no script, or of a kind that no agent can run), not_found
 */
export function programOf(commandLine: string[], folder?: string): Program {
  const [script, ...rest] = commandLine;
  if (script === undefined) throw new NavvyError("invalid_argument", "this process runs no script file, so it can not run elsewhere");
  const file = resolve(script);
  const runner = RUNNERS[/\.(\w+)$/.exec(file)?.[1] ?? ""];
  if (runner === undefined) {
    throw new NavvyError("invalid_argument", `${file} can not run elsewhere`, { why: `known kinds: ${Object.keys(RUNNERS).join(", ")}` });
  }
  const root = folder === undefined ? (nearestPackage(dirname(file)) ?? dirname(file)) : resolve(folder);
  const inside = relative(root, file).split(sep).join("/");
  if (inside.startsWith("../")) {
    throw new NavvyError("invalid_argument", `${file} is not inside ${root}`, { fix: "code: a folder that holds the program" });
  }
  return { folder: root, command: [runner, inside, ...rest], additions: moduleType(file, root) };
}

function nearestPackage(from: string): string | undefined {
  if (existsSync(join(from, "package.json"))) return from;
  const above = dirname(from);
  return above === from ? undefined : nearestPackage(above);
}

/** Whether `.js` and `.ts` are ES modules is said by a package.json that may lie above what is packed: then it is said again. */
function moduleType(file: string, root: string): Record<string, string> {
  const above = nearestPackage(dirname(file));
  if (above === undefined || !relative(above, root) || !relative(root, above).startsWith("..")) return {};
  const { type } = JSON.parse(readFileSync(join(above, "package.json"), "utf8")) as { type?: string };
  return type === "module" ? { "package.json": '{ "private": true, "type": "module" }\n' } : {};
}
