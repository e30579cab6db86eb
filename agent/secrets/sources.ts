import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { execa } from "execa";
import { z } from "zod";
import { checkName, NavvyError, weaknessOf } from "../../protocol/index.js";

const COMMAND_LIMIT_MS = 10_000;

const rules = { queues: z.array(z.string()).optional(), projects: z.array(z.string()).optional() };
const Source = z.union([
  z.strictObject({ file: z.string().min(1), ...rules }),
  z.strictObject({ env: z.string().min(1), ...rules }),
  z.strictObject({ command: z.array(z.string()).min(1), ...rules }),
]);
/** Where a secret's value is on this machine, and which tasks may have it. */
export type Source = z.infer<typeof Source>;

/**
 * Reads the file that says where this agent's secrets are: `{ "hf-token": { "file": "…" }, "key": { "env": "…" }, "db": { "command": […] } }`.
 * @throws NavvyError invalid_argument: it can not be read, others may change it, or something in it is wrong
 */
export async function readSources(path: string): Promise<Map<string, Source>> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new NavvyError("invalid_argument", `the file of secrets can not be read: ${path}`, { cause });
  });
  if ((found.mode & 0o022) !== 0)
    throw new NavvyError("invalid_argument", `others may change the file of secrets: ${path}`, {
      why: "it names files and commands that this agent reads and runs",
      fix: `chmod go-w ${path}`,
    });
  const parsed = z.record(z.string(), Source).safeParse(parse(await readFile(path, "utf8"), path));
  if (!parsed.success) {
    const name = parsed.error.issues[0]?.path[0];
    throw new NavvyError(
      "invalid_argument",
      `${path}: ${name === undefined ? "not an object" : `secret ${String(name)} is not as it should be`}`,
      {
        why: 'each is {"file": PATH}, {"env": VARIABLE} or {"command": [PROGRAM, …]}, with "queues" and "projects" to say which tasks may have it',
      },
    );
  }
  return new Map(Object.entries(parsed.data).map(([name, source]) => [checkName("secret", name), below(dirname(path), source)]));
}

/** What stands beside the value in the file is no part of an error. */
function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new NavvyError("invalid_argument", `the file of secrets is not JSON: ${path}`);
  }
}

function below(folder: string, source: Source): Source {
  return "file" in source ? { ...source, file: resolve(folder, source.file) } : source;
}

/**
 * The value as it is now, without the line end that files and programs close with.
 * @throws NavvyError internal (it can not be had, which is no fault of a task's), invalid_argument (one that can not be kept secret)
 */
export async function readValue(name: string, source: Source, agent: string): Promise<string> {
  const value = (await rawValue(name, source, agent)).replace(/\r?\n$/, "");
  const weakness = weaknessOf(value);
  if (weakness === undefined) return value;
  throw new NavvyError("invalid_argument", `secret ${name} of agent ${agent} is refused: ${weakness}`, {
    fix: `another value, in ${whereOf(source)}`,
  });
}

async function rawValue(name: string, source: Source, agent: string): Promise<string> {
  const unavailable = (why: string, fix: string, cause?: unknown) =>
    new NavvyError("internal", `secret ${name} of agent ${agent} can not be had from ${whereOf(source)}: ${why}`, { cause, fix });
  if ("env" in source) {
    const value = process.env[source.env];
    if (value === undefined) throw unavailable("it is not set", `set ${source.env} where the agent is started`);
    return value;
  }
  if ("command" in source) {
    const [program = "", ...args] = source.command;
    const { exitCode, stdout } = await execa(program, args, {
      ...{ stdin: "ignore", stderr: "ignore", reject: false, timeout: COMMAND_LIMIT_MS, maxBuffer: 1_000_000, stripFinalNewline: false },
    });
    if (exitCode === 0) return String(stdout);
    throw unavailable(
      exitCode === undefined ? "it could not be run to its end" : `it exited with ${exitCode}`,
      `run it by hand: ${program}`,
    );
  }
  const found = await stat(source.file).catch((cause: unknown) => {
    throw unavailable("there is no such file that this agent may read", `put the value there, and: chmod 600 ${source.file}`, cause);
  });
  if ((found.mode & 0o077) !== 0) throw unavailable("others may read it", `chmod 600 ${source.file}`);
  return readFile(source.file, "utf8").catch((cause: unknown) => {
    throw unavailable("it can not be read", `chown it to the agent's user, and: chmod 600 ${source.file}`, cause);
  });
}

function whereOf(source: Source): string {
  if ("env" in source) return `variable ${source.env}`;
  return "file" in source ? source.file : `command ${source.command[0]}`;
}
