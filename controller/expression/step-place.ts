import {
  type ArtifactRef,
  closest,
  type InputRef,
  type MetricSummary,
  type ParameterValue,
  type TaskRecord,
} from "../../protocol/index.js";
import { ARTIFACT_FIELDS, FIGURES, STEP_FIELDS } from "./node.js";
import type { Scope, StepView } from "./scope.js";
import { missing, PathValue, Place, type Value, wrong } from "./values.js";

type PathOf = Scope["pathOf"];

/** A step as expressions go through it: `steps.train.metrics.loss.min`. */
export function stepPlace(view: StepView, pathOf: PathOf): Place {
  const what = `step ${view.name}`;
  if (!view.members) return onePlace({ view, what, pathOf });
  const members = view.members;
  const member = (index: number) => onePlace({ view: members[index]!, what: `${what}[${index}]`, pathOf });
  const all = () => members.map((_, index) => member(index));
  const get = (key: string | number): Value => {
    if (key === "length") return members.length;
    if (key === "name" || key === "state") return view[key];
    const index = typeof key === "number" ? at(members, key) : members.findIndex((each) => each.task?.id === key);
    if (index >= 0) return member(index);
    if (typeof key === "number") throw missing(`${what} has ${members.length} members: there is no [${key}]`);
    throw wrong(`${what} has ${members.length} members: say which has the ${key}`, sayWhich(view.name));
  };
  return new Place({ what, get, plain: () => noValue(what, `a step with ${members.length} members`, sayWhich(view.name)), members: all });
}

const sayWhich = (name: string) => `steps.${name}[0].id, steps.${name}.best(metrics.loss.last, 'min').id or steps.${name}.map(id)`;

interface One {
  view: StepView;
  what: string;
  pathOf: PathOf;
}

function onePlace({ view, what, pathOf }: One): Place {
  const task = () => {
    if (view.task) return view.task;
    throw missing(`${what} ${view.state === "skipped" ? "was skipped" : `is ${view.state}`}: there is no task of it`);
  };
  const fieldOf = (field: (typeof STEP_FIELDS)[number]): Value => {
    switch (field) {
      case "id":
        return task().id;
      case "name":
      case "state":
        return view[field];
      case "parameters":
      case "params":
        return parametersPlace(task(), what);
      case "outputs":
        return named({ what: `outputs of ${what}`, values: task().reported.outputs, none: (key) => noOutput(what, key, task()) });
      case "artifacts":
        return artifactsPlace({ view, what, pathOf }, task());
      case "metrics":
        return metricsPlace(task(), what);
      case "models":
        return modelsPlace({ view, what, pathOf }, task());
      case "task":
        return named({ what: `the task of ${what}`, values: task() as unknown as Record<string, ParameterValue> });
      case "matrix":
        if (view.matrix) return named({ what: `the matrix of ${what}`, values: view.matrix });
        throw wrong(`${what} is not a member of a matrix`);
    }
  };
  const get = (key: string | number) => {
    const field = STEP_FIELDS.find((each) => each === key);
    if (field) return fieldOf(field);
    if (typeof key === "number") throw wrong(`${what} has no matrix: there is no [${key}]`);
    const meant = closest(key, STEP_FIELDS);
    throw wrong(`${what} has no ${key}${meant ? `; did you mean ${meant}?` : ""}; a step has: ${STEP_FIELDS.join(", ")}`);
  };
  return new Place({ what, get, plain: () => noValue(what, "a step", "one of its fields, for example its .id") });
}

function noValue(what: string, kind: string, fix: string): never {
  throw wrong(`${what} is ${kind}, which is no value: name what is wanted of it`, fix);
}

/** A map whose members are there or not. */
interface Named {
  what: string;
  values: Record<string, ParameterValue>;
  none?: (key: string) => Error;
}

function named({ what, values, none }: Named): Place {
  const get = (key: string | number) => {
    const value = own(values, String(key));
    if (value !== undefined) return value;
    throw none?.(String(key)) ?? missing(`${what}: there is no ${key}; there are: ${list(Object.keys(values), String(key))}`);
  };
  return new Place({ what, get, plain: () => values });
}

function noOutput(what: string, key: string, { reported }: TaskRecord): Error {
  return missing(`${what} has not reported output ${key}; it reported: ${list(Object.keys(reported.outputs), key)}`);
}

/** By `Section/name`, by `name` in General, or a section. */
function parametersPlace({ spec, reported }: TaskRecord, what: string): Place {
  const find = (key: string): ParameterValue | undefined => {
    const slash = key.indexOf("/");
    const section = own(spec.parameters, slash < 0 ? "General" : key.slice(0, slash)) ?? {};
    return own(section, key.slice(slash + 1)) ?? own(reported.params ?? {}, key) ?? (slash < 0 ? own(spec.parameters, key) : undefined);
  };
  const get = (key: string | number) => {
    const value = find(String(key));
    if (value !== undefined) return value;
    const names = Object.entries(spec.parameters).flatMap(([section, of]) => Object.keys(of).map((name) => `${section}/${name}`));
    throw missing(`${what} has no parameter ${key}; it has: ${list(names, String(key))}`);
  };
  return new Place({ what: `parameters of ${what}`, get, plain: () => spec.parameters });
}

function artifactsPlace(of: One, task: TaskRecord): Place {
  const { artifacts } = task.reported;
  const get = (key: string | number) => {
    const found = artifacts.find(({ name }) => name === String(key));
    if (found) return artifactPlace(of, task, found);
    throw missing(
      `artifact ${key}: ${of.what} left ${
        artifacts.length === 0
          ? "none"
          : `none of that name; it left: ${list(
              artifacts.map(({ name }) => name),
              String(key),
            )}`
      }`,
    );
  };
  return new Place({ what: `artifacts of ${of.what}`, get, plain: () => artifacts.map(({ name }) => name) });
}

function artifactPlace({ view, what, pathOf }: One, task: TaskRecord, ref: ArtifactRef): Place {
  const about = `artifact ${ref.name} of ${what}`;
  const url = urlOf(ref, { task: task.id, artifact: ref.name });
  const get = (key: string | number): Value => {
    if (key === "path") return new PathValue(pathOf(view, ref.name));
    if (key === "url") return url;
    if (key === "size") return ref.sizeBytes;
    const field = ARTIFACT_FIELDS.find((each) => each === key) as "name" | undefined;
    const value = field && ref[field];
    if (value !== undefined) return value;
    throw field
      ? missing(`${about} has no ${field}`)
      : wrong(`${about} has no ${key}; it has: ${ARTIFACT_FIELDS.join(", ")}`, `artifacts['${ref.name}.${key}'], if that is its name`);
  };
  return new Place({ what: about, get, plain: () => ({ task: task.id, name: ref.name, url, sha256: ref.sha256, size: ref.sizeBytes }) });
}

/** In the fleet's own store it goes by its task and name; in another by that one's address and its content's name there. */
function urlOf(ref: Pick<InputRef, "sha256" | "store">, from: InputRef["from"]): string {
  if (ref.store !== undefined) {
    const [base = "", query] = ref.store.split("?");
    return `${base}/${ref.sha256}${query === undefined ? "" : `?${query}`}`;
  }
  return from ? `navvy://${from.task}/${from.artifact.split("/").map(encodeURIComponent).join("/")}` : `navvy://objects/${ref.sha256}`;
}

function metricsPlace({ reported }: TaskRecord, what: string): Place {
  const get = (key: string | number) => {
    const name = String(key);
    const summary = own(reported.metrics, name);
    if (summary) return figuresPlace(`metric ${name} of ${what}`, summary);
    const hint = /[-/]/.test(name) ? "; a subtraction or division after a name has a blank before it" : "";
    const omitted = reported.metricsOmitted > 0 ? `; ${reported.metricsOmitted} more do not stand in its record` : "";
    throw missing(`${what} has not reported metric ${name}; it reported: ${list(Object.keys(reported.metrics), name)}${omitted}${hint}`);
  };
  return new Place({
    what: `metrics of ${what}`,
    get,
    plain: () => Object.fromEntries(Object.entries(reported.metrics).map(([name, { last }]) => [name, last])),
  });
}

function figuresPlace(what: string, summary: MetricSummary): Place {
  const get = (key: string | number) => {
    const figure = own(FIGURES, String(key));
    if (figure) return summary[figure];
    throw wrong(`${what} has no ${key}; it has: ${Object.keys(FIGURES).join(", ")}`);
  };
  return new Place({ what, get, plain: () => summary.last });
}

/** `models.output`: what it left of kind `model`, in order. `models.input`: what it was given. */
function modelsPlace(of: One, task: TaskRecord): Place {
  const what = `models of ${of.what}`;
  const models = task.reported.artifacts
    .filter(({ kind }) => kind === "model")
    .sort((a, b) => (a.uploadedAt < b.uploadedAt ? -1 : a.uploadedAt > b.uploadedAt ? 1 : 0));
  const inputs = Object.entries(task.spec.inputs).map(([name, ref]) => inputPlace(`input ${name} of ${of.what}`, name, ref));
  const get = (key: string | number) => {
    if (key === "output")
      return numbered({
        what: `output ${what}`,
        places: models.map((ref) => artifactPlace(of, task, ref)),
        names: models.map(({ name }) => name),
      });
    if (key === "input") return numbered({ what: `input ${what}`, places: inputs, names: Object.keys(task.spec.inputs) });
    throw wrong(`${what}: there are input and output, not ${key}`);
  };
  return new Place({ what, get, plain: () => models.map(({ name }) => name) });
}

function inputPlace(what: string, name: string, ref: InputRef): Place {
  const values = { name, url: urlOf(ref, ref.from), sha256: ref.sha256, size: ref.sizeBytes, ...ref.from };
  return named({ what, values });
}

function numbered({ what, places, names }: { what: string; places: Place[]; names: string[] }): Place {
  const get = (key: string | number): Value => {
    if (key === "length") return places.length;
    const index = typeof key === "number" ? at(places, key) : names.lastIndexOf(key);
    if (places[index]) return places[index];
    throw missing(`${what}: there is no ${key}; there are: ${list(names, String(key))}`);
  };
  return new Place({ what, get, plain: () => names });
}

/** From the end where it is negative; -1: there is none. */
export function at(of: readonly unknown[], index: number): number {
  const found = index < 0 ? of.length + index : index;
  return Number.isInteger(found) && found >= 0 && found < of.length ? found : -1;
}

/** A task chose the names: `constructor` is one like any other. */
export function own<T>(of: Record<string, T>, name: string): T | undefined {
  return Object.hasOwn(of, name) ? of[name] : undefined;
}

/** What there is, for errors, with what was probably meant first. */
export function list(names: readonly string[], wanted: string): string {
  const meant = closest(wanted, names);
  const shown = names.slice(0, 20).join(", ") || "none";
  return `${shown}${names.length > 20 ? ", …" : ""}${meant ? ` (did you mean ${meant}?)` : ""}`;
}
