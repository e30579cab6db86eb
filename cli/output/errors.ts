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

/** The lines `✖ what`, `why: …`, `fix: …`; with `verbose` the chain of causes too. */
export function describeError(error: unknown, options: { verbose?: boolean } = {}): string {
  const { message, why, fix } = failureOf(error);
  const lines = [`${paint("red", "✖", process.stderr)} ${message}`];
  if (why) lines.push(`  why: ${why}`);
  fix.forEach((line, i) => lines.push(i === 0 ? `  fix: ${line}` : `       ${line}`));
  if (options.verbose) lines.push(...causes(error));
  return lines.join("\n");
}

/** The same for programs. */
export function errorDocument(error: unknown): string {
  const { code, message, why, fix } = failureOf(error);
  return JSON.stringify({ schema: "navvy.error/1", code, message, ...(why ? { why } : {}), fix });
}

function failureOf(error: unknown): Failure {
  if (error instanceof CommanderError) return usage(error);
  if (isOurs(error)) return { code: error.code, message: error.message, why: error.why, fix: error.fix };
  const message = error instanceof Error ? error.message : String(error);
  return { code: "internal", message, why: "a fault of navvy itself", fix: ["run it again with --verbose and report what it prints"] };
}

/** Told by its shape, so that printing a usage error does not load the protocol. */
function isOurs(error: unknown): error is Error & Failure {
  return error instanceof Error && error.name === "NavvyError";
}

function usage(error: CommanderError): Failure {
  const [first = "", ...more] = error.message.replace(/^error: /, "").split("\n");
  const hint = more.map((line) => line.replace(/^\((.*)\)$/, "$1")).filter((line) => line !== "");
  const fix =
    error.code === "commander.unknownOption" ? [...hint, "options of the task's own command go after --: navvy run -- COMMAND …"] : hint;
  return { code: "invalid_argument", message: first, fix: fix.length ? fix : ["navvy --help"] };
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
