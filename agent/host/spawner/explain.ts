import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { StartFailure, StartRequest } from "./wire.js";

/** Says why a program could not be started. Exec answers ENOENT for three different things: looked at one by one here. */
export function explainFailure(request: StartRequest, error: NodeJS.ErrnoException): StartFailure {
  const errno = error.code ?? "UNKNOWN";
  if (error.syscall === "open") return { errno, message: `cannot write the output file ${error.path}: ${errno}` };
  return explainDirectory(request.cwd) ?? explainCommand(request, errno) ?? { errno, message: `${request.argv[0]}: ${error.message}` };
}

function explainDirectory(cwd: string): StartFailure | undefined {
  try {
    if (statSync(cwd).isDirectory()) return undefined;
    return { errno: "ENOTDIR", message: `the working directory is not a directory: ${cwd}`, fix: "check the task's working directory" };
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? "UNKNOWN";
    if (errno !== "ENOENT") return { errno, message: `the working directory can not be entered: ${cwd}: ${errno}` };
    return { errno, message: `the working directory does not exist: ${cwd}`, fix: "check the task's working directory" };
  }
}

function explainCommand(request: StartRequest, errno: string): StartFailure | undefined {
  const command = request.argv[0];
  if (command === undefined || command === "") {
    return { errno: "EINVAL", message: "there is no command to run", fix: "give the task a command" };
  }
  switch (errno) {
    case "ENOENT":
      return explainMissing(request, command);
    case "EACCES":
      return { errno, message: `not allowed to run: ${command}`, fix: `chmod +x ${command}` };
    case "ENOEXEC":
      return { errno, message: `not a program that this machine can run: ${command}`, fix: `name its interpreter, as in: sh ${command}` };
    case "E2BIG":
      return { errno, message: `arguments and environment of ${command} are too long together`, fix: "pass large values in a file" };
    case "EAGAIN":
    case "ENOMEM":
    case "EMFILE":
      return { errno, message: `this machine is out of processes, memory or files (${errno}): ${command} was not started` };
    default:
      return undefined;
  }
}

function explainMissing(request: StartRequest, command: string): StartFailure {
  const errno = "ENOENT";
  if (command.includes("/") && existsSync(resolve(request.cwd, command))) {
    return { errno, message: `the interpreter that the first line of ${command} names is not on this machine`, fix: `head -1 ${command}` };
  }
  return { errno, message: `command not found on this machine: ${command}`, fix: `install ${command} there, or give its full path` };
}
