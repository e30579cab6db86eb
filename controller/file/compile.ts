import type { ParameterValue } from "../../protocol/index.js";
import { didYouMean, type GraphParameter, type NewGraph } from "../graph/index.js";
import { said, times } from "./compile-spec.js";
import { type CompiledStep, compileStep, graphQueueOf } from "./compile-step.js";
import type { Fault } from "./issues.js";
import type { FileCode, PipelineFile } from "./schema.js";

export interface Compiled {
  graph: NewGraph;
  /** The code that each step's task runs in. */
  codes: Map<string, FileCode>;
}

interface Compiling {
  /** Pipelines that steps use, by the step's name. */
  pipelines: ReadonlyMap<string, NewGraph>;
  placeOf: (path: (string | number)[]) => string;
  fault: (fault: Fault) => void;
}

/** Makes of a file the graph that the SDK would have made. */
export function compile(file: PipelineFile, { pipelines, placeOf, fault }: Compiling): Compiled {
  const codes = new Map<string, FileCode>();
  const stepsOf = (list: "steps" | "finally") =>
    Object.entries(file[list] ?? {}).map(([name, step]) => {
      const wrong = (key: string[], message: string, fix?: string) => fault({ path: [list, name, ...key], message, fix });
      const compiled: CompiledStep = compileStep({ name, step, file, pipeline: pipelines.get(name), place: placeOf([list, name]), wrong });
      if (compiled.code) codes.set(name, compiled.code);
      return compiled.step;
    });
  checkMonitors(file, fault);
  const graph: NewGraph = {
    type: "navvy.pipeline.v1",
    name: file.name,
    steps: stepsOf("steps"),
    finally: stepsOf("finally"),
    queue: graphQueueOf(file),
    parameters: Object.fromEntries(Object.entries(file.params ?? {}).map(([name, given]) => [name, parameterOf(given)])),
    ...(said<unknown>({
      project: file.project,
      version: file.version === undefined ? undefined : String(file.version),
      description: file.description,
      outputs: file.outputs,
      timeLimitMs: times(file.timeout),
      abortOnFailure: file.on_failure === undefined ? undefined : file.on_failure === "abort",
      concurrency: file.concurrency && said({ group: file.concurrency.group, onConflict: file.concurrency.on_conflict }),
      tags: file.tags,
    }) as Partial<NewGraph>),
  };
  return { graph, codes };
}

/** A default alone says the type too. */
function parameterOf(given: NonNullable<PipelineFile["params"]>[string]): GraphParameter {
  if (typeof given === "object" && !Array.isArray(given)) {
    const { type, ...more } = given as Partial<GraphParameter>;
    return { type: type ?? (more.default === undefined || more.default === null ? "any" : typeOf(more.default)), ...more };
  }
  return { type: typeOf(given), default: given };
}

function typeOf(value: ParameterValue): GraphParameter["type"] {
  if (typeof value === "number") return Number.isInteger(value) ? "int" : "float";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  return Array.isArray(value) ? "list" : "any";
}

function checkMonitors(file: PipelineFile, fault: (fault: Fault) => void): void {
  const names = [...Object.keys(file.steps), ...Object.keys(file.finally ?? {})];
  for (const kind of ["metrics", "artifacts", "models"] as const)
    file.monitor?.[kind]?.forEach((pattern, index) => {
      const [step = "", ...rest] = pattern.split(".");
      const path = ["monitor", kind, index];
      if (rest.length === 0) fault({ path, message: `${JSON.stringify(pattern)} names no step`, fix: `${names[0] ?? "step"}.${pattern}` });
      else if (!names.includes(step)) fault({ path, message: `there is no step ${JSON.stringify(step)}${didYouMean(step, names)}` });
    });
}
