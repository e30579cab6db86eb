import { MANIFEST_NAME } from "../../protocol/index.js";
import { matches } from "../expression/functions.js";
import type { Reference } from "../expression/index.js";
import { ARTIFACT_FIELDS, FIGURES, ROOTS, RUN_FIELDS, STEP_FIELDS } from "../expression/node.js";
import type { Graph, Step } from "./graph.js";
import { didYouMean } from "./problems.js";

/** Where a reference stands. */
export interface Place {
  graph: Graph;
  /** All of them by name. */
  steps: ReadonlyMap<string, Step>;
  /** Names of those that run when the rest is over. */
  finals: ReadonlySet<string>;
  /** Whose it is; undefined: the pipeline's own outputs. */
  step?: Step | undefined;
  /** The part of the step: `when`, `until`, `matrix`, … */
  part: string;
  isTemplate: boolean;
}

type Say = (message: string, fix?: string) => void;

/** Says what is wrong with a reference, if something is. */
export function checkReference(reference: Reference, place: Place, say: Say): void {
  const { root, path, text } = reference;
  const [first] = path;
  switch (root) {
    case "params":
      return checkParameter(reference, place, say);
    case "matrix":
      return checkMatrix(reference, place, say);
    case "round": {
      const isTheShells = place.isTemplate && reference.source === "round";
      if (!place.step?.until && !isTheShells) say("round is there only in a step that runs again (until)");
      return;
    }
    case "run":
      if (first !== undefined && !RUN_FIELDS.some((field) => field === first)) say(`run has no ${first}${didYouMean(first, RUN_FIELDS)}`);
      return;
    case "secrets":
      return say(
        `${text} stands outside of env: a secret's value goes into a task's environment alone`,
        `env: {${first ?? "TOKEN"}: "\${secrets.${first ?? "TOKEN"}}"}`,
      );
    case "inputs":
      return say(`${text}: inputs are known to the agent alone, which fills in \${inputs.NAME} by itself`);
    case "steps":
      return checkStep(reference, place, say);
  }
}

function checkParameter({ path: [name] }: Reference, { graph }: Place, say: Say): void {
  if (name === undefined || Object.hasOwn(graph.parameters, name)) return;
  const hint = name.includes("-") ? "; a subtraction has a blank before the -" : "";
  say(`the pipeline has no parameter ${JSON.stringify(name)}${didYouMean(name, Object.keys(graph.parameters))}${hint}`);
}

function checkMatrix({ path: [key] }: Reference, { step, part }: Place, say: Say): void {
  if (!step?.matrix) return say("matrix is there only in a step that has one");
  if (part === "matrix" || part === "when") return say(`matrix has no value yet in ${part}, which is asked once for all of its members`);
  if (key !== undefined && !Object.hasOwn(step.matrix, key))
    say(`the matrix has no ${JSON.stringify(key)}${didYouMean(key, Object.keys(step.matrix))}`);
}

function checkStep(reference: Reference, place: Place, say: Say): void {
  const { step: name, path } = reference;
  if (name === undefined) return say("steps is no value: name one, as in steps.prep.outputs.rows");
  const step = place.steps.get(name);
  if (!step) {
    const isBare = !reference.text.startsWith("steps");
    return say(
      `there is no step ${JSON.stringify(name)}${didYouMean(name, isBare ? [...ROOTS, ...place.steps.keys()] : place.steps.keys())}`,
    );
  }
  if (step === place.step && !step.until)
    return say("a step can not ask for what itself gives; only one that runs again (until) can, of its round before");
  const isNormal = place.step !== undefined && !place.finals.has(place.step.name);
  if (place.finals.has(name) && isNormal) return say(`step ${name} is a finally-step: it runs when this one is over`);
  checkFields(step, path, say);
}

function checkFields(step: Step, path: string[], say: Say): void {
  const isMatrix = step.matrix !== undefined;
  const [first, ...rest] = path;
  if (first === undefined) return;
  if (!isMatrix && first === "*") return say(`step ${step.name} has no matrix: it is one task`);
  if (!isMatrix) return checkField(step, path, say);
  if (first === "*") return checkField(step, rest, say);
  if (first === "length" || first === "state" || first === "name") return;
  const fields: readonly string[] = STEP_FIELDS;
  if (!fields.includes(first)) return;
  say(
    `step ${step.name} has a matrix: say which of its tasks`,
    `steps.${step.name}[0].${path.join(".")}, steps.${step.name}.best(metrics.loss.last, 'min').${path.join(".")}, or steps.${step.name}.map(${path.join(".")})`,
  );
}

function checkField(step: Step, [field, name, last]: string[], say: Say): void {
  if (field === undefined) return;
  const about = `step ${JSON.stringify(step.name)}`;
  if (!STEP_FIELDS.some((each) => each === field)) return say(`a step has no ${JSON.stringify(field)}${didYouMean(field, STEP_FIELDS)}`);
  if (name === undefined || name === "*") return;
  if (field === "outputs") return checkDeclared({ about, noun: "output", name, names: outputsOf(step) }, say);
  if (field === "artifacts") {
    checkDeclared({ about, noun: "artifact", name: declaredFile(step, name, last), names: artifactsOf(step) }, say);
    if (last !== undefined && !ARTIFACT_FIELDS.some((each) => each === last))
      say(
        `an artifact has no ${JSON.stringify(last)}${didYouMean(last, ARTIFACT_FIELDS)}`,
        `artifacts['${name}.${last}'], if that is its name`,
      );
  }
  if (field === "metrics" && last !== undefined && !Object.hasOwn(FIGURES, last))
    say(
      `a metric has no ${JSON.stringify(last)}${didYouMean(last, Object.keys(FIGURES))}`,
      `metrics['${name}.${last}'], if that is its name`,
    );
  if (field === "models" && name !== "input" && name !== "output") say(`models has no ${JSON.stringify(name)}; there are: input, output`);
  if (field === "matrix" && !Object.hasOwn(step.matrix ?? {}, name))
    say(`the matrix of ${about} has no ${JSON.stringify(name)}${didYouMean(name, Object.keys(step.matrix ?? {}))}`);
}

/** `artifacts.model.pt.url` stands for a file that is called so, where there is one. */
function declaredFile(step: Step, name: string, last: string | undefined): string {
  const declared = artifactsOf(step);
  const whole = last === undefined ? name : `${name}.${last}`;
  return declared?.includes(whole) && !declared.includes(name) ? whole : name;
}

interface Declared {
  about: string;
  noun: "output" | "artifact";
  name: string;
  names: readonly string[] | undefined;
}

function checkDeclared({ about, noun, name, names }: Declared, say: Say): void {
  if (!names || (noun === "artifact" && name === MANIFEST_NAME)) return;
  if (!names.some((each) => matches(name, each)))
    say(`${about} has no ${noun} ${JSON.stringify(name)}${didYouMean(name, names, "it declares")}`);
}

/** What it will report, where that is known. */
export function outputsOf({ action, outputs }: Step): readonly string[] | undefined {
  if (action.kind === "pipeline") return [...Object.keys(action.pipeline.outputs), ...(outputs ?? [])];
  return action.kind === "function" && action.returns.length > 0 ? [...action.returns, ...(outputs ?? [])] : outputs;
}

function artifactsOf({ action, artifacts }: Step): readonly string[] | undefined {
  return action.kind === "function" && action.returns.length > 0 ? [...action.returns, ...(artifacts ?? [])] : artifacts;
}
