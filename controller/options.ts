import type { CloneOverrides, NewTask } from "../broker/index.js";
import type { ParameterValue, TaskSpec } from "../protocol/index.js";
import type { TaskArtifact } from "./results.js";

/** A task by id, by a unique suffix of it, by name, by `project/name`, or by both as an object. */
export type TaskReference = string | { project?: string; name: string };

/** What this process's own task is called. */
export interface InitOptions {
  name: string;
  /** Default `default`. */
  project?: string;
  /** Default `controller`. */
  type?: string;
  tags?: string[];
  /** What an abort of this task does to the tasks that it has made and that have not ended. Default `leave`. */
  onAbort?: "abort" | "leave";
  /** Defaults of the parameters, by `Section/name`: what was set in the task's record wins. */
  parameters?: Record<string, ParameterValue>;
  /**
   * While it does nothing but wait for tasks, it ends this process and is started again from its top when one of them has ended; what it
   * made with a `key` is found again then. Only inside navvy. Default false.
   */
  parks?: boolean;
  /** How long it waits in its process before that; less where a task that it waits for may need its slot. Default 30 s. */
  parkAfterMs?: number;
}

/** What a new task or clone differs in. */
interface Common extends Partial<Omit<TaskSpec, "code" | "parameters" | "inputs">> {
  name?: string;
  project?: string;
  type?: string;
  tags?: string[];
  comment?: string;
  /** By `Section/name`. */
  parameters?: Record<string, ParameterValue>;
  /** Artifacts of other tasks, by the name that each has in `$NAVVY_INPUTS`. */
  inputs?: Record<string, TaskArtifact>;
  /**
   * Makes it durable: a controller that runs again gets the same task for the same key instead of a new one. Unique within
   * the controller.
   */
  key?: string;
  /** Send it to this queue at once. */
  queue?: string;
}

export interface CreateOptions extends Common {
  name: string;
  /** A folder to pack, or the code of another task. */
  code?: string | TaskSpec["code"];
}

export type CloneOptions = Common;

/** What of the options stands in a task's specification. */
export function specOf(options: Common): Partial<TaskSpec> {
  const { command, directory, env, resources, timeLimitMs, graceMs, retries, lostLimit, onDisconnect } = options;
  const { container, setup, git, secrets, artifactStore, logLimitBytes, parametersAs, inputs } = options;
  const refs = inputs && Object.fromEntries(Object.entries(inputs).map(([name, artifact]) => [name, artifact.asInput]));
  const more = { container, setup, git, secrets, artifactStore, logLimitBytes, parametersAs, inputs: refs };
  return defined({ command, directory, env, resources, timeLimitMs, graceMs, retries, lostLimit, onDisconnect, ...more });
}

/** What of the options stands beside it. */
export function headOf(options: Common, parent: string | undefined): CloneOverrides & Partial<Pick<NewTask, "parent">> {
  const { name, project, type, tags, comment, parameters, key } = options;
  return defined({ name, project, taskType: type, tags, comment, parameters, key, parent });
}

/** An option that is undefined was not given: it must not hide a default or a template's value. */
export function defined<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}
