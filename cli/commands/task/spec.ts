import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { findModel, inputRefOf, modelsOf, type Navvy, packBundle, parseStoreUrl } from "../../../broker/index.js";
import { type CodeRef, type InputRef, NavvyError, type TaskRecord, type TaskSpec } from "../../../protocol/index.js";
import type { Call } from "../../call.js";
import { duration, size } from "../../output/quantities.js";
import { findTask } from "../../references.js";
import type { TaskOptions } from "../task-options.js";
import { containerSpecOf } from "./container-spec.js";
import { gitSpecOf } from "./git-spec.js";
import { resourcesSpecOf } from "./resources-spec.js";
import { secretsSpecOf } from "./secrets-spec.js";
import { setupSpecOf } from "./setup-spec.js";

/** The command of a task: the words after `--`, or `sh -c` with one string. @throws NavvyError invalid_argument for both */
export function commandOf(words: string[], options: Pick<TaskOptions, "shell">): string[] | undefined {
  if (options.shell === undefined) return words.length > 0 ? words : undefined;
  if (words.length > 0) throw new NavvyError("invalid_argument", "both --shell and a command were given", { fix: "give one of them" });
  return ["sh", "-c", options.shell];
}

/** The name of a task that was given none: its program's. */
export function nameOf(command: string[] | undefined): string | undefined {
  const program = command?.[0];
  return program === undefined ? undefined : basename(program).replace(/^@+/, "") || "task";
}

/**
 * The parts of a specification that the flags name, over those of `before` (a draft that is edited, a task that is cloned).
 * Uploads the code where `--code` says so.
 */
export async function specOf(call: Call<TaskOptions>, words: string[], before?: TaskSpec): Promise<Partial<TaskSpec>> {
  const { options } = call;
  const spec = plainSpecOf(options, words, before);
  if (options.input) spec.inputs = { ...before?.inputs, ...(await inputsOf(call, options.input)) };
  const git = await gitSpecOf(call, { before, upload: true });
  if (options.code !== undefined) Object.assign(spec, { code: await sendCode(call, options.code), git: undefined });
  return { ...spec, ...git };
}

/** What needs neither a server nor an upload. */
export function plainSpecOf(options: TaskOptions, words: string[], before?: TaskSpec): Partial<TaskSpec> {
  const command = commandOf(words, options);
  checkTimes(options);
  return {
    ...containerSpecOf(options, before),
    ...setupSpecOf(options, before),
    ...resourcesSpecOf(options, before),
    ...secretsSpecOf(options, before),
    ...(command ? { command } : {}),
    ...(options.paramsAs === undefined ? {} : { parametersAs: options.paramsAs }),
    ...(options.dir === undefined ? {} : { directory: options.dir }),
    ...(options.env ? { env: { ...before?.env, ...options.env } } : {}),
    ...(options.timeout === undefined ? {} : { timeLimitMs: options.timeout }),
    ...(options.grace === undefined ? {} : { graceMs: options.grace }),
    ...(options.logLimit === undefined ? {} : { logLimitBytes: options.logLimit }),
    ...(options.onDisconnect === undefined ? {} : { onDisconnect: options.onDisconnect }),
    ...(options.artifactStore === undefined ? {} : { artifactStore: parseStoreUrl(options.artifactStore).url }),
    ...(options.retries === undefined ? {} : { retries: { limit: options.retries, backoffMs: before?.retries.backoffMs ?? 1_000 } }),
  };
}

/** @throws NavvyError invalid_argument for a grace that is longer than the time limit beside it */
export function checkTimes({ grace, timeout }: Pick<TaskOptions, "grace" | "timeout">): void {
  if (grace === undefined || timeout === undefined || grace <= timeout) return;
  throw new NavvyError("invalid_argument", `--grace ${duration(grace)} is longer than --timeout ${duration(timeout)}`, {
    why: "the grace is what is left to a task after its time limit; longer than the limit itself it is a slip",
    fix: [`--grace ${duration(timeout)} or less`, "or leave --grace out: it is 30s, or the time limit when that is less"],
  });
}

/** What the flags say about the task itself. @throws NavvyError invalid_argument for a name that reads as a reference */
export function labelsOf(options: TaskOptions): Partial<Pick<TaskRecord, "name" | "project" | "taskType" | "tags" | "comment">> {
  const { name, project, type, tag, comment } = options;
  if (name?.startsWith("@"))
    throw new NavvyError("invalid_argument", `task name ${JSON.stringify(name)} is not acceptable`, {
      why: "@ begins references such as @last",
      fix: `--name ${name.replace(/^@+/, "") || "NAME"}`,
    });
  return Object.fromEntries(
    Object.entries({ name, project, taskType: type, tags: tag, comment }).filter(([, value]) => value !== undefined),
  );
}

async function inputsOf(call: Call<TaskOptions>, inputs: string[]): Promise<Record<string, InputRef>> {
  return Object.fromEntries(await Promise.all(inputs.map((text) => inputOf(call, text))));
}

/** `NAME=TASK:ARTIFACT`; where there is no colon the first slash parts the two. */
async function inputOf(call: Call<TaskOptions>, text: string): Promise<[string, InputRef]> {
  const navvy = await call.navvy();
  const [, name, reference, artifactName] = /^([^=/]+)=([^:]+):(.+)$/.exec(text) ?? /^([^=/]+)=(.+?)\/([^/]+(?:\/.*)?)$/.exec(text) ?? [];
  if (name === undefined || reference === undefined || artifactName === undefined) {
    throw new NavvyError("invalid_argument", `input ${JSON.stringify(text)} is not acceptable`, {
      fix: ["--input NAME=TASK:ARTIFACT", "--input NAME=model:MODEL@VERSION"],
    });
  }
  if (reference === "model") {
    const { task, ref } = findModel(await modelsOf(await navvy.tasks.list(), navvy.artifacts), artifactName);
    return [name, inputRefOf(ref, task.id)];
  }
  const task = await findTask(call, reference);
  return [name, inputRefOf(await navvy.artifacts.resolve(task, artifactName), task.id)];
}

/** Packs a folder and stores it. */
export async function sendCode(call: Call<unknown>, folder: string): Promise<CodeRef> {
  const navvy: Navvy = await call.navvy();
  const into = await mkdtemp(join(tmpdir(), "navvy-code-"));
  try {
    const packed = await packBundle(folder, { into });
    const { sha256, sizeBytes, files, origin } = packed;
    await navvy.objects.putFile(packed.file);
    call.out.talk(`▸ code  ${folder}: ${files} files, ${size(sizeBytes)}`);
    return { bundle: sha256, sizeBytes, files, origin };
  } finally {
    await rm(into, { recursive: true, force: true });
  }
}
