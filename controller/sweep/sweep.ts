import type { Navvy } from "../../broker/index.js";
import { closest, NavvyError, type TaskRecord } from "../../protocol/index.js";
import { connection } from "../connection.js";
import { isObject } from "../definition/yaml.js";
import { Task } from "../task.js";
import { configOf, definitionValue, type SweepConfig, type SweepOptions } from "./definition.js";
import { runSweep, type SweepResult } from "./run.js";
import { type TrialView, viewOf } from "./trial.js";
import { findTrials } from "./trials.js";

/** Where a sweep's definition stands in its task. */
const DEFINITION = "Sweep/definition";
/** What a sweep's task is called by type. */
export const SWEEP_TYPE = "optimizer";

/** What a program may hear of its sweep. */
export interface SweepRunOptions {
  /** Told of each trial that has ended. */
  onTrial?: (trial: TrialView) => void;
}

/**
 * A search for good parameters: trials are clones of a template with parameters of their own, run on a queue, and compared by a
 * metric. `start()` sends it to the services queue; `run()` runs it in this very program.
 */
export class Sweep {
  readonly config: SweepConfig;
  readonly #options: SweepOptions;

  /** @throws NavvyError invalid_argument, with every problem and its place */
  constructor(options: SweepOptions) {
    this.config = configOf(options);
    this.#options = options;
  }

  /**
   * Makes the sweep's task and sends it to a queue; it needs no program of its own.
   * @throws NavvyError not_found (the template, the queue), invalid_argument (a parameter that looks like a slip)
   */
  async start(options: { queue?: string } = {}): Promise<Task> {
    const { template } = await this.check();
    return Task.create({
      name: this.config.name,
      project: this.#project(template),
      type: SWEEP_TYPE,
      command: ["navvy", "sweep", "execute"],
      parameters: { [DEFINITION]: definitionValue({ ...this.#options, template: template.id }) },
      queue: options.queue ?? "services",
    });
  }

  /**
   * Looks at what the sweep is about in the fleet.
   * @returns the template, and parameters that it does not have itself
   * @throws NavvyError not_found, invalid_argument
   */
  async check(): Promise<{ template: Task; added: string[] }> {
    const template = await Task.get(this.config.template);
    if (template.record.spec.command.length === 0)
      throw new NavvyError(
        "invalid_argument",
        `template ${template.id} (${template.name}) has no command, so its clones have nothing to run`,
        {
          fix: `navvy task edit ${template.id.slice(-8)} -- COMMAND …`,
        },
      );
    return { template, added: addedParameters(this.config, template.record) };
  }

  /**
   * Runs it to its end in this program, as this program's own task. Run again under the same task it goes on where it was.
   * @throws NavvyError aborted (asked to end), not_found (the template)
   */
  async run(options: SweepRunOptions = {}): Promise<SweepResult> {
    const { template } = await this.check();
    const definition = definitionValue({ ...this.#options, template: template.id });
    const me = await Task.init({
      name: this.config.name,
      project: this.#project(template),
      type: SWEEP_TYPE,
      parameters: { [DEFINITION]: definition },
      onAbort: this.config.onAbort,
    });
    if (me.getParameter(DEFINITION) === undefined) me.log.output("sweep", definition);
    return runSweep({ navvy: await connection(), me, config: { ...this.config, template: template.id }, ...options });
  }

  /**
   * What `navvy sweep execute` does: runs the sweep that this process's own task is.
   * @throws NavvyError invalid_argument (the task is no sweep), aborted, not_found (the template)
   */
  static async execute(options: SweepRunOptions = {}): Promise<SweepResult> {
    const me = await Task.init({ name: "sweep", type: SWEEP_TYPE });
    return runSweep({ navvy: await connection(), me, config: configOfRecord(me.record), ...options });
  }

  #project(template: Task): string {
    return this.config.project ?? template.project;
  }
}

/** A sweep as its records say it stands. */
export interface SweepView {
  task: TaskRecord;
  config: SweepConfig;
  trials: TrialView[];
}

/** Reads a sweep from its records, whether or not it runs just now. @throws NavvyError invalid_argument: the task is no sweep */
export async function readSweep(navvy: Navvy, task: TaskRecord): Promise<SweepView> {
  const config = configOfRecord(task);
  const trials = [...(await findTrials(navvy, task.id))].map(([number, record]) => viewOf(record, number, config));
  return { task, config, trials };
}

/** The id of the task that the sweep of a record clones; undefined: it is no sweep, or names its template otherwise. */
export function sweepTemplateOf(task: TaskRecord): string | undefined {
  const definition = definitionOf(task);
  const template = isObject(definition) ? definition["template"] : undefined;
  return typeof template === "string" ? template : undefined;
}

export const isSweep = (task: TaskRecord) => definitionOf(task) !== undefined;

function definitionOf({ spec, reported }: TaskRecord): unknown {
  return spec.parameters["Sweep"]?.["definition"] ?? (Object.hasOwn(reported.outputs, "sweep") ? reported.outputs["sweep"] : undefined);
}

function configOfRecord(task: TaskRecord): SweepConfig {
  const definition = definitionOf(task);
  if (definition === undefined)
    throw new NavvyError("invalid_argument", `task ${task.id} (${task.name}) is no sweep`, {
      why: `it has no parameter ${DEFINITION}`,
      fix: "navvy sweep ls",
    });
  return configOf(definition);
}

/** Parameters that the template does not have: the program may know them all the same, but not one that looks like a slip. */
function addedParameters({ space }: SweepConfig, template: TaskRecord): string[] {
  const paths = space.map(({ path }) => path);
  const has = (path: string) => template.spec.parameters[sectionOf(path)]?.[path.slice(path.indexOf("/") + 1)] !== undefined;
  const added = paths.filter((path) => !has(path));
  for (const path of added) {
    const section = sectionOf(path);
    const names = Object.keys(template.spec.parameters[section] ?? {});
    const meant = closest(
      path.slice(section.length + 1),
      names.filter((name) => !paths.includes(`${section}/${name}`)),
    );
    if (meant !== undefined)
      throw new NavvyError("invalid_argument", `template ${template.name} has no parameter ${path}; did you mean ${section}/${meant}?`, {
        why: `in ${section} it has: ${names.join(", ")}`,
        fix: [`write ${section}/${meant}`, `or give the template one of that name: navvy task set ${template.id.slice(-8)} ${path}=VALUE`],
      });
  }
  return added;
}

const sectionOf = (path: string) => path.slice(0, path.indexOf("/"));
