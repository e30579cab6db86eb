import { parseSweepFile, type SweepOptions } from "../../../controller/index.js";
import { NavvyError } from "../../../protocol/index.js";
import { valueOrText } from "../../arguments.js";
import { readDefinition } from "../../definition-file.js";
import type { SweepFlags } from "../sweep.js";

/** What a file and flags say together; flags win. @throws NavvyError not_found (the file), invalid_argument */
export async function definitionFrom(file: string | undefined, flags: SweepFlags): Promise<SweepOptions> {
  const written = file === undefined ? undefined : await parseSweepFile(await readDefinition(file), file);
  return merged(written, flags);
}

function merged(written: SweepOptions | undefined, flags: SweepFlags): SweepOptions {
  const { name, project, template = written?.template, method, parallel, target, seed, trialQueue, metric, goal, of } = flags;
  const { trials, time, trialTime, failures, earlyStop } = flags;
  if (!written && template === undefined)
    throw new NavvyError("invalid_argument", "there is neither a file nor a template to search with", {
      fix: [
        "navvy sweep run sweep.yaml",
        "navvy sweep run --template TASK -p General/lr=1e-4..1:log --metric val/acc --goal max --trials 20",
      ],
    });
  const parameters = { ...written?.parameters, ...Object.fromEntries((flags.param ?? []).map(parameterOf)) };
  // A time of the file would stand beside the flag's: one of the two is meant.
  const { time: _time, trialTime: _trialTime, ...budgetWritten } = written?.budget ?? {};
  const budget = time === undefined && trialTime === undefined ? written?.budget : budgetWritten;
  return {
    ...written,
    ...defined({ project, method, parallel, target, seed, queue: trialQueue, earlyStop }),
    name: name ?? written?.name ?? `sweep of ${template}`,
    template: template ?? "",
    parameters,
    objective: { ...written?.objective, ...defined({ metric, goal, of }) } as SweepOptions["objective"],
    budget: { ...budget, ...defined({ trials, timeMs: time, trialTimeMs: trialTime, failures }) },
  };
}

/** `General/lr=1e-4..1:log`, `General/layers=1..8:2`, `General/batch=16,32,64`. */
export function parameterOf(text: string): [string, unknown] {
  const at = text.indexOf("=");
  if (at <= 0 || at === text.length - 1)
    throw new NavvyError("invalid_argument", `parameter ${JSON.stringify(text)} is not acceptable`, {
      fix: ["-p General/lr=1e-4..1:log", "-p General/layers=1..8:1", "-p General/batch=16,32,64"],
    });
  const [path, values] = [text.slice(0, at), text.slice(at + 1)];
  const range = /^(-?[\d.]+(?:e[+-]?\d+)?)\.\.(-?[\d.]+(?:e[+-]?\d+)?)(?::(log|[\d.]+))?$/i.exec(values);
  if (!range) return [path, { values: values.split(",").map((each) => valueOrText(each.trim())) }];
  const [, min, max, how] = range;
  const more = how === undefined ? {} : how === "log" ? { log: true } : { step: Number(how) };
  return [path, { min: Number(min), max: Number(max), ...more }];
}

function defined<T extends object>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}
