import { createHash } from "node:crypto";
import type { Navvy } from "../../broker/index.js";
import { isEnded, type TaskRecord, TaskSpec } from "../../protocol/index.js";
import { patiently } from "../patience.js";
import type { Child } from "./launch.js";
import { KEYS, type Notebook } from "./notebook.js";
import type { Member, StepRun } from "./step-run.js";

interface Look {
  run: StepRun;
  member: Member;
  child: Child;
}

/** What decides about a step's result, by name: the hash of each. */
export type CacheParts = Record<string, string>;

/**
 * Finds a task of the fleet that has done, or is doing, exactly what a step is about to do. One at a time in the fleet does it: the
 * others wait for that one.
 */
export class StepCache {
  readonly #navvy: Navvy;
  readonly #notebook: Notebook;
  /** Of all runs of the pipeline. */
  readonly #pipeline: string;

  constructor(navvy: Navvy, parts: { notebook: Notebook; pipeline: string }) {
    this.#navvy = navvy;
    this.#notebook = parts.notebook;
    this.#pipeline = parts.pipeline;
  }

  /**
   * @returns the record of the task whose result counts, or that is just bringing one: wait for its end, then look again; undefined: the
   * step is to run, and its task is marked with its key
   */
  async look({ run, member, child }: Look): Promise<TaskRecord | undefined> {
    const noted = this.#notebook.get(KEYS.cache(member.key))?.value;
    if (typeof noted === "string") return patiently(() => this.#navvy.tasks.get(noted));
    const draft = this.#navvy.tasks.idOf({ ...child.task, key: child.task.key ?? member.key });
    const parts = cacheParts(child);
    const key = hash(parts);
    const other = run.step.cache === "refresh" ? undefined : await patiently(() => this.#navvy.cache.claim(key, draft, parts));
    if (other) {
      if (isEnded(other.status)) await this.#notebook.set(KEYS.cache(member.key), other.id);
      return other;
    }
    if (run.step.cache === "refresh") await patiently(() => this.#navvy.cache.take(key, draft, parts));
    child.task.cache = { key, parts, why: await this.#why(run, draft, parts) };
    return undefined;
  }

  /** What has changed since the step last ran, in words. */
  async #why(run: StepRun, task: string, parts: CacheParts): Promise<string> {
    const key = `last.${hash({ pipeline: this.#pipeline, step: run.name })}`;
    const last = await patiently(() => this.#navvy.cache.get(key));
    if (last?.task === task) return "it was on its way already";
    await patiently(() => this.#navvy.cache.take(key, task, parts));
    if (run.step.cache === "refresh") return "a fresh run was asked for";
    if (!last) return "it has not run before";
    const changed = [...new Set([...Object.keys(parts), ...Object.keys(last.parts)])].filter((name) => parts[name] !== last.parts[name]);
    return changed.length > 0
      ? `since task ${last.task} there changed: ${changed.sort().join(", ")}`
      : `the result of task ${last.task} is gone`;
  }
}

/** Everything that decides what comes out, part by part: what a task sees of where and when it runs is none of it. */
export function cacheParts({ task, template }: Child): CacheParts {
  const spec = TaskSpec.parse({ command: [], ...template?.spec, ...task.spec });
  const { code, git, setup, container, inputs, env, parameters, parametersAs, command, directory } = spec;
  const own = Object.entries(task.parameters ?? {}).map(([path, value]) => [`parameter ${path}`, value] as const);
  const sections = Object.entries(parameters).flatMap(([section, values]) =>
    Object.entries(values).map(([name, value]) => [`parameter ${section}/${name}`, value] as const),
  );
  const parts: Record<string, unknown> = {
    code: code ? code.bundle : git ? [git.url, git.commit ?? git.ref, git.diff?.sha256] : null,
    command: [command, directory ?? null, parametersAs ?? null],
    env,
    ...Object.fromEntries(Object.entries(inputs).map(([name, { sha256 }]) => [`input ${name}`, sha256])),
    ...(setup ? { setup } : {}),
    ...(container ? { image: [container.image, container.entrypoint ?? null] } : {}),
    ...Object.fromEntries([...sections, ...own]),
  };
  return Object.fromEntries(Object.entries(parts).map(([name, value]) => [name, hash(value).slice(0, 16)]));
}

function hash(value: unknown): string {
  return createHash("sha256").update(stable(value)).digest("hex");
}

/** JSON with its keys in order. */
function stable(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}
