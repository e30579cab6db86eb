import { join } from "node:path";
import { NavvyError } from "../../../protocol/index.js";
import { StateFile } from "../../task/state-file.js";
import type { ApiAttempt, Lasting } from "../call.js";

/** The latest value of a metric. */
export interface Latest {
  value: number;
  timestamp: number;
  step: number;
}

/** A run as MLflow's clients see it. */
export interface Run {
  id: string;
  name: string;
  /** Before the names of its metrics, parameters and artifacts; empty for the task's own. */
  prefix: string;
  /** Somebody works with it, so the next one that is made is another. */
  isTaken: boolean;
  isDeleted: boolean;
  status: string;
  startTime: number;
  endTime?: number;
  params: Map<string, string>;
  tags: Map<string, string>;
  metrics: Map<string, Latest>;
  inputs: Record<string, unknown>;
  outputs: Record<string, unknown>;
}

/** A model that was logged (MLflow 3). */
export interface Model {
  id: string;
  /** Its folder among the artifacts. */
  folder: string;
  info: Record<string, unknown>;
  tags: Map<string, string>;
  params: Map<string, string>;
}

/** The one experiment: whatever a script calls it. */
export interface Experiment {
  name: string;
  tags: Map<string, string>;
}

interface Kept {
  experiment: Experiment;
  runs: Run[];
  models: Model[];
}

const SAVE_LATE_MS = 1_000;
/** As MLflow has it; what is longer is cut, so that no script fails for it. */
export const MAX_VALUE = 8_000;
const MAX_KEY = 512;
const MAX_PAIRS = 5_000;
/** Of names and values of tags and parameters of all runs. */
const MAX_CHARACTERS = 8 * 1024 * 1024;
const MAX_RUNS = 1_000;
const MAX_PREFIX = 60;

/**
 * What clients read back: kept in a file of the attempt, for the agent that may adopt it. What they are told again must stand when they
 * are answered (`save`); the latest values of metrics may come a little later, as all points stand in the events file already.
 */
export class MlflowState implements Lasting {
  readonly experiment: Experiment;
  readonly runs: Map<string, Run>;
  readonly models: Map<string, Model>;
  /** Requests of which it was said that they are not answered here. */
  readonly told = new Set<string>();
  readonly #file: StateFile<unknown>;
  #last: Promise<void> = Promise.resolve();
  #next: Promise<void> | undefined;
  #late: NodeJS.Timeout | undefined;
  #characters = 0;

  /** The attempt's, made when it is first asked for. */
  static of(attempt: ApiAttempt): Promise<MlflowState> {
    attempt.mlflow ??= MlflowState.#open(attempt);
    return attempt.mlflow as Promise<MlflowState>;
  }

  static async #open({ claim, folder }: ApiAttempt): Promise<MlflowState> {
    const file = new StateFile<unknown>(join(folder.root, "mlflow.json"));
    const kept = revived(await file.read());
    if (kept) return new MlflowState(file, kept);
    const own = newRun({ id: claim.id, name: claim.record.name, prefix: "" });
    return new MlflowState(file, { experiment: { name: claim.record.project, tags: new Map() }, runs: [own], models: [] });
  }

  private constructor(file: StateFile<unknown>, kept: Kept) {
    this.#file = file;
    this.experiment = kept.experiment;
    this.runs = new Map(kept.runs.map((run) => [run.id, run]));
    this.models = new Map(kept.models.map((model) => [model.id, model]));
  }

  /** @throws NavvyError not_found */
  run(id: string): Run {
    const run = this.runs.get(id);
    if (run) return run;
    throw new NavvyError("not_found", `Run '${id}' not found`);
  }

  /** The task's own run for the first who wants one, else another beside or below it. @throws NavvyError invalid_argument */
  create({ name, parent }: { name?: string | undefined; parent?: string | undefined }): Run {
    const [own] = this.runs.values();
    if (own && parent === undefined && !own.isTaken) {
      Object.assign(own, { isTaken: true, name: name ?? own.name, startTime: Date.now() });
      return own;
    }
    if (this.runs.size >= MAX_RUNS) throw new NavvyError("invalid_argument", `a task can have at most ${MAX_RUNS} runs`);
    const number = this.runs.size;
    const above = parent === undefined ? "" : (this.runs.get(parent)?.prefix ?? "");
    const run = newRun({ id: `${own?.id}-${number}`, name: name ?? `run-${number}`, prefix: this.#prefix(above, name ?? `run-${number}`) });
    run.isTaken = true;
    this.runs.set(run.id, run);
    return run;
  }

  /** Resolves when all that is so now stands in the file. */
  save(): Promise<void> {
    this.#next ??= this.#begin();
    return this.#next;
  }

  /** One that fails is told to those who wait for it, and keeps no later one from being tried. */
  #begin(): Promise<void> {
    const saving = this.#last.then(async () => {
      this.#next = undefined;
      await this.#file.write(JSON.parse(JSON.stringify(this.#kept(), mapsAsEntries)));
    });
    this.#last = saving.catch(() => undefined);
    return saving;
  }

  /** Sets parameters or tags of a run or a model. @throws NavvyError invalid_argument, too_large: then none of them is set */
  putAll(map: Map<string, string>, pairs: [string, string][]): void {
    const short = new Map(pairs.map(([key, value]) => [key.slice(0, MAX_KEY), value.slice(0, MAX_VALUE)]));
    let grown = 0;
    let fresh = 0;
    for (const [key, value] of short) {
      const known = map.get(key);
      grown += value.length + (known === undefined ? key.length : -known.length);
      if (known === undefined) fresh++;
    }
    if (map.size + fresh > MAX_PAIRS)
      throw new NavvyError("invalid_argument", `a run can have at most ${MAX_PAIRS} parameters, and as many tags`);
    if (this.#characters + grown > MAX_CHARACTERS)
      throw new NavvyError("too_large", "the runs of a task can keep 8 MiB of parameters and tags together", {
        fix: "leave large values as artifacts",
      });
    this.#characters += grown;
    for (const [key, value] of short) map.set(key, value);
  }

  saveLater(): void {
    this.#late ??= setTimeout(() => {
      this.#late = undefined;
      this.save().catch(() => undefined); // the next one that somebody waits for says so
    }, SAVE_LATE_MS);
  }

  async close(): Promise<void> {
    if (this.#late !== undefined) this.save().catch(() => undefined);
    clearTimeout(this.#late);
    this.#late = undefined;
    await this.#last;
  }

  #kept(): Kept {
    return { experiment: this.experiment, runs: [...this.runs.values()], models: [...this.models.values()] };
  }

  #prefix(above: string, name: string): string {
    const plain = folderName(name);
    const taken = new Set([...this.runs.values()].map((run) => run.prefix));
    for (let n = 1; ; n++) {
      const prefix = `${above}${plain}${n === 1 ? "" : `-${n}`}/`;
      if (!taken.has(prefix)) return prefix;
    }
  }
}

/** A name as that of a folder. */
export function folderName(name: string): string {
  const plain = name.replace(/[/\p{Cc}]/gu, "_");
  const short = plain
    .slice(0, MAX_PREFIX)
    .replace(/\p{Cs}/gu, "")
    .trim();
  return short === "" || short === "." || short === ".." ? "run" : short;
}

function newRun({ id, name, prefix }: Pick<Run, "id" | "name" | "prefix">): Run {
  const maps = { params: new Map(), tags: new Map([["mlflow.runName", name]]), metrics: new Map() };
  return { id, name, prefix, isTaken: false, isDeleted: false, status: "RUNNING", startTime: Date.now(), ...maps, inputs: {}, outputs: {} };
}

/** Names are the task's: no object can hold all of them by name. */
function mapsAsEntries(_key: string, value: unknown): unknown {
  if (value instanceof Map) return { entries: [...(value as Map<string, unknown>)] };
  return typeof value === "number" && !Number.isFinite(value) ? { number: String(value) } : value;
}

function revived(kept: unknown): Kept | undefined {
  if (typeof kept !== "object" || kept === null || !("runs" in kept)) return undefined;
  return JSON.parse(JSON.stringify(kept), (_key, value: unknown) => {
    if (typeof value !== "object" || value === null) return value;
    if ("entries" in value && Array.isArray(value.entries)) return new Map(value.entries as [string, unknown][]);
    return "number" in value && Object.keys(value).length === 1 ? Number(value.number) : value;
  }) as Kept;
}
