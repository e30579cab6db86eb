import { execa } from "execa";
import { executeAutoscale, type RunCommand } from "../../../controller/index.js";
import { isNavvyError } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { EXIT } from "../../exit-codes.js";

/** What a command prints is in the autoscaler's log. */
const runCommand: RunCommand = async (command, { env, timeoutMs }) => {
  const options = { env, timeout: timeoutMs, stdin: "ignore", stdout: "inherit", stderr: "inherit", reject: false } as const;
  const [program = "", ...words] = typeof command === "string" ? ["sh", "-c", command] : command;
  const { exitCode, shortMessage, failed } = await execa(program, words, options);
  if (failed) process.stderr.write(`${shortMessage}\n`);
  return exitCode ?? EXIT.failed;
};

/** `navvy autoscale execute`: the program of an autoscaler's task. */
export const execute: Handler = async (call) => {
  try {
    return await executeAutoscale({ runCommand, say: (line) => call.out.line(line) });
  } catch (error) {
    if (!isNavvyError(error, "aborted")) throw error;
    call.out.talk(`${error.message}: ${error.why}`);
    return EXIT.terminated;
  }
};
