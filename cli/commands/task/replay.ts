import { chmod, readdir, writeFile } from "node:fs/promises";
import { constants } from "node:os";
import { join, resolve } from "node:path";
import { execa } from "execa";
import { layOutReplay, type Replay } from "../../../agent/index.js";
import { NavvyError, type TaskRecord } from "../../../protocol/index.js";
import type { Call, Handler } from "../../call.js";
import { shortId } from "../../output/words.js";
import { findTask } from "../../references.js";
import { environmentFile, scriptLines, splitSecrets } from "./replay-script.js";

interface ReplayFlags {
  into?: string;
  run?: boolean;
  attempt?: number;
}

/** `navvy task replay TASK` */
export const replay: Handler<[string], ReplayFlags> = async (call, reference) => {
  const { options, out } = call;
  const task = await findTask(call, reference);
  if (task.spec.command.length === 0)
    throw new NavvyError("invalid_argument", `task ${task.id} has no command, so there is nothing to replay`);
  const into = resolve(options.into ?? `replay-${shortId(task.id)}`);
  await refuseFull(into);
  const laid = await layOutReplay({
    navvy: await call.navvy(),
    task,
    attempt: options.attempt,
    into,
    inherited: process.env,
    say: (line) => out.talk(line),
  });
  const lines = scriptLines({ ...task.spec, command: laid.command }, { folder: into, cwd: laid.cwd, env: laid.env });
  await writeFile(join(into, "env.sh"), environmentFile(laid.env, laid.path));
  const script = join(into, "replay.sh");
  await writeFile(script, ["#!/bin/sh", `# ${task.name.replaceAll("\n", " ")} (${task.id})`, "set -e", ...lines, ""].join("\n"));
  await chmod(script, 0o755);
  if (options.run) return run(script, laid);
  show(call, { task, laid, lines, script });
};

/** What lies there is somebody's. */
async function refuseFull(into: string): Promise<void> {
  const names = await readdir(into).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw new NavvyError("invalid_argument", `${into} can not be replayed into`, {
      cause: error,
      why: error.message,
      fix: "--into A-NEW-FOLDER",
    });
  });
  if (names.length > 0)
    throw new NavvyError("invalid_argument", `folder ${into} is not empty`, { fix: ["--into A-NEW-FOLDER", `rm -r ${into}`] });
}

function show(
  { out }: Call<unknown>,
  { task, laid, lines, script }: { task: TaskRecord; laid: Replay; lines: string[]; script: string },
): void {
  const { shown, secret } = splitSecrets(laid.env);
  const leftOut = [...Object.keys(secret), ...Object.keys(task.spec.secrets ?? {})];
  out.talk(
    `▸ laid out in ${laid.folder}${laid.commit === undefined ? "" : ` at ${laid.commit.slice(0, 12)}`}; all of it again: sh ${script}`,
  );
  if (leftOut.length > 0) out.talk(`  left out, to be exported by you: ${leftOut.join(", ")}`);
  const { env: _env, ...rest } = laid;
  const document = { task: task.id, ...rest, env: shown, leftOut, script, lines };
  // In a shell of its own: what is pasted leaves no variables behind.
  out.show({ kind: "replay", name: () => laid.folder }, document, () => `( ${lines.join(" &&\n  ")} )`);
}

/** Secrets go from the record into the process and into no file. */
async function run(script: string, { env }: Replay): Promise<number> {
  const { secret } = splitSecrets(env);
  const ran = await execa("sh", [script], { stdio: "inherit", env: secret, reject: false });
  if (ran.exitCode !== undefined) return ran.exitCode;
  if (ran.signal === undefined)
    throw new NavvyError("setup_failed", `the script ${script} can not be run`, { cause: ran, why: ran.shortMessage });
  return 128 + constants.signals[ran.signal];
}
