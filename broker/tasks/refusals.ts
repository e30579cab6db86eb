import {
  checkSecrets,
  closest,
  encode,
  isEnded,
  isFullCommit,
  MAX_RECORD_BYTES,
  NavvyError,
  redactUrls,
  TASK_TYPES,
  type TaskRecord,
  type TaskSpec,
  withoutCredentials,
} from "../../protocol/index.js";
import type { NewTask } from "./draft.js";

/** @throws NavvyError invalid_argument */
export function checked(task: NewTask): NewTask {
  if (task.name.trim() === "") throw new NavvyError("invalid_argument", "a task needs a name", { fix: "--name NAME" });
  if (task.taskType !== undefined) checkType(task.taskType);
  return task;
}

/** The known types, or `custom:ANYTHING`. */
export function checkType(type: string): void {
  if ((TASK_TYPES as readonly string[]).includes(type) || type.startsWith("custom:")) return;
  const meant = closest(type, TASK_TYPES);
  throw new NavvyError("invalid_argument", `task type ${JSON.stringify(type)} is not known${meant ? `; did you mean ${meant}?` : ""}`, {
    why: `known: ${TASK_TYPES.join(", ")}`,
    fix: `custom:${type}`,
  });
}

export function notDraft(record: TaskRecord): NavvyError {
  return new NavvyError("not_draft", `task ${record.id} is ${record.status}; only a draft can be edited`, {
    fix: record.status === "queued" ? `navvy task dequeue ${record.id.slice(-8)}` : `navvy task clone ${record.id.slice(-8)}`,
  });
}

export function alreadyOnItsWay(record: TaskRecord): NavvyError {
  return new NavvyError("illegal_move", `task ${record.id} is ${record.status}; only a draft can be enqueued`, {
    fix: `navvy task clone ${record.id.slice(-8)}`,
  });
}

export function nothingToRun(record: TaskRecord): NavvyError {
  return new NavvyError("invalid_argument", `task ${record.id} has no command, so there is nothing to run`, {
    fix: `navvy task create --name ${record.name} -- COMMAND …`,
  });
}

/** `task ID is running, so it can not be …`, with what to do first. */
export function notWhile(record: TaskRecord, verb: string): NavvyError {
  const advice = record.status === "queued" ? "dequeue" : record.status === "draft" ? "enqueue" : "abort";
  return new NavvyError("illegal_move", `task ${record.id} is ${record.status}, so it can not be ${verb}`, {
    fix: `navvy task ${advice} ${record.id.slice(-8)}`,
  });
}

export function notEmpty(queue: string, waiting: number): NavvyError {
  return new NavvyError("not_empty", `queue ${JSON.stringify(queue)} still holds ${waiting} task${waiting === 1 ? "" : "s"}`, {
    fix: [`navvy queue clear ${queue}`, `navvy queue rm ${queue} --force   (its tasks go back to draft)`],
  });
}

export function notQueued(record: TaskRecord): NavvyError {
  const fix = isEnded(record.status)
    ? `navvy task reset ${record.id.slice(-8)}`
    : record.status === "running"
      ? `navvy task abort ${record.id.slice(-8)}`
      : `navvy task enqueue ${record.id.slice(-8)} QUEUE`;
  return new NavvyError("illegal_move", `task ${record.id} is ${record.status}, not queued`, { fix });
}

export function notRunning(record: TaskRecord): NavvyError {
  return new NavvyError("illegal_move", `task ${record.id} is ${record.status}, not running`, {
    fix: isEnded(record.status) ? `navvy task reset ${record.id.slice(-8)}` : `navvy task show ${record.id.slice(-8)}`,
  });
}

/**
 * The grace that goes with a time limit. One that is asked for and is longer is refused; one that nobody asked for (the
 * default, a template's) ends with the limit.
 * @throws NavvyError invalid_argument
 */
export function graceWithin(spec: { timeLimitMs?: number | undefined; graceMs: number }, isAskedFor: boolean): number {
  const { timeLimitMs, graceMs } = spec;
  if (timeLimitMs === undefined || graceMs <= timeLimitMs) return graceMs;
  if (!isAskedFor) return timeLimitMs;
  throw new NavvyError("invalid_argument", `a grace of ${graceMs} ms is longer than the time limit of ${timeLimitMs} ms`, {
    why: "the grace is what is left to a task after its time limit; longer than the limit itself it is a slip",
    fix: [`a grace of at most ${timeLimitMs} ms (--grace), or a longer time limit (--timeout)`],
    detail: { graceMs, timeLimitMs },
  });
}

/** @throws NavvyError invalid_argument for code from two places, and for a repository that can not be fetched as it is named */
function checkCode({ code, git }: Pick<TaskSpec, "code" | "git">): void {
  if (git === undefined) return;
  if (code !== undefined)
    throw new NavvyError("invalid_argument", "a task has its code from a folder (code) or from git, not from both", {
      fix: "leave one of them out: --code or --git",
    });
  const { url, ref, commit } = git;
  if (withoutCredentials(url) !== url)
    throw new NavvyError("invalid_argument", `git URL ${redactUrls(url)} carries credentials, and a record is no place for them`, {
      why: "whoever reads the fleet could read them; the agent's host takes them from its own git configuration",
      fix: [withoutCredentials(url), "on each agent's host: git config --global credential.helper store, then log in once"],
    });
  if (url.startsWith("-") || /[\0\n]/.test(url))
    throw new NavvyError("invalid_argument", `git URL ${JSON.stringify(url)} is not acceptable`);
  if (ref?.startsWith("-") || /[\s~^:?*[\\]/.test(ref ?? ""))
    throw new NavvyError("invalid_argument", `git ref ${JSON.stringify(ref)} is not acceptable`, {
      why: "a branch, a tag, or a full name that begins with refs/ is wanted",
    });
  if (commit !== undefined && !isFullCommit(commit))
    throw new NavvyError("invalid_argument", `commit ${JSON.stringify(commit)} is not a full name`, {
      why: "a part of a name can not be looked up on a server: all 40 hexadecimal digits are needed",
      fix: `git rev-parse ${/^[0-9a-f]+$/i.test(commit) ? commit : "HEAD"}`,
    });
  if (commit === undefined && git.diff !== undefined)
    throw new NavvyError("invalid_argument", "a diff belongs to a commit, and the task names none", { fix: "--commit SHA, or --no-diff" });
}

/** What a draft may take up: the rest of a record's room is for its attempts and reports. */
const MAX_DRAFT_BYTES = MAX_RECORD_BYTES - 16 * 1024;

/** @throws NavvyError too_large, and for code that can not be had */
export function checkFit(draft: TaskRecord): void {
  checkCode(draft.spec);
  checkSecrets(draft.spec.secrets ?? {}, draft.spec.env);
  const bytes = encode(draft).length;
  if (bytes <= MAX_DRAFT_BYTES) return;
  throw new NavvyError("too_large", `task ${draft.name} would be ${bytes} bytes, over the limit of ${MAX_DRAFT_BYTES}`, {
    fix: "keep large values in a file or an artifact and pass its name",
    detail: { bytes },
  });
}
