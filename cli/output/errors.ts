import { CommanderError } from "commander";
import { EXIT } from "../exit-codes.js";
import { paint } from "./words.js";

/** What there is to say about a failure, whoever threw it. */
interface Failure {
  code: string;
  message: string;
  why?: string | undefined;
  fix: string[];
}

/** Commands that take another one after `--`. */
const TAKES_COMMAND = ["run", "task create", "task clone", "task edit"];

/** The lines `✖ what`, `why: …`, `fix: …`; with `verbose` the chain of causes too. `path` is the command in use: `task ls`. */
export function describeError(error: unknown, options: { path?: string; verbose?: boolean } = {}): string {
  const { message, why, fix } = failureOf(error, options.path);
  const lines = [`${paint("red", "✖", process.stderr)} ${message}`];
  if (why) lines.push(`  why: ${why}`);
  fix.forEach((line, i) => lines.push(i === 0 ? `  fix: ${line}` : `       ${line}`));
  if (options.verbose) lines.push(...causes(error));
  return lines.join("\n");
}

/** The same for programs. */
export function errorDocument(error: unknown, options: { path?: string } = {}): string {
  const { code, message, why, fix } = failureOf(error, options.path);
  return JSON.stringify({ schema: "navvy.error/1", code, message, ...(why ? { why } : {}), fix });
}

function failureOf(error: unknown, path = ""): Failure {
  if (error instanceof CommanderError) return usage(error, path);
  if (isOurs(error)) return { code: error.code, message: error.message, why: error.why, fix: error.fix };
  const message = error instanceof Error ? error.message : String(error);
  return { code: "internal", message, why: "a fault of navvy itself", fix: ["run it again with --verbose and report what it prints"] };
}

/** Told by its shape, so that printing a usage error does not load the protocol. */
function isOurs(error: unknown): error is Error & Failure {
  return error instanceof Error && error.name === "NavvyError";
}

function usage(error: CommanderError, path: string): Failure {
  const [first = "", ...rest] = error.message.replace(/^error: /, "").split("\n");
  const hint = rest.map((line) => line.replace(/^\((.*)\)$/, "$1")).filter((line) => line !== "");
  const isOption = error.code === "commander.unknownOption";
  const more =
    isOption && TAKES_COMMAND.includes(path) ? [`options of the task's own command go after --: navvy ${path} … -- COMMAND …`] : [];
  const help = hint.length === 0 || isOption ? [["navvy", path, "--help"].filter(Boolean).join(" ")] : [];
  return { code: "invalid_argument", message: first, fix: [...hint, ...more, ...help] };
}

function causes(error: unknown): string[] {
  const lines: string[] = [];
  for (let cause = (error as Error)?.cause; cause instanceof Error; cause = cause.cause)
    lines.push(`  cause: ${cause.name}: ${cause.message}`);
  const stack = error instanceof Error && !(error instanceof CommanderError) ? (error.stack ?? "") : "";
  return [...lines, ...stack.split("\n").slice(1)];
}

/** The exit code of a wrong command line: 0 where help or the version was asked for. */
export function exitCodeOfUsage(error: CommanderError): number {
  return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
}
