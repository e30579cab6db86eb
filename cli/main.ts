#!/usr/bin/env node
import { CommanderError } from "commander";
import { outputOf } from "./call.js";
import { commandPath } from "./command-path.js";
import { exitCodeOf } from "./exit-codes.js";
import { describeError, errorDocument, exitCodeOfUsage } from "./output/errors.js";
import { makeProgram } from "./program.js";

/** A reader that went away (`navvy task ls | head`) is no failure. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(process.exitCode ?? 0);
  });
}

const program = makeProgram();
try {
  await program.parseAsync(process.argv);
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CommanderError && error.exitCode === 0) return 0;
  // A noun alone: its help has been printed, and says all there is to say.
  if (error instanceof CommanderError && error.code === "commander.help") return exitCodeOfUsage(error);
  const path = commandPath(program, process.argv.slice(2));
  const { output, json, verbose } = program.opts();
  const out = outputOf({ output: output ?? "table", json });
  process.stderr.write(
    `${out.isData && out.format !== "name" ? errorDocument(error, { path }) : describeError(error, { path, verbose })}\n`,
  );
  if (error instanceof CommanderError) return exitCodeOfUsage(error);
  return exitCodeOf((error as { code?: Parameters<typeof exitCodeOf>[0] }).code ?? "internal");
}
