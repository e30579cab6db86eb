export type { NewGraph } from "../graph/graph.js";
export type { HookedStep, StepHooks } from "./context.js";
export type { RunResult } from "./engine.js";
export { executeGraph, runGraphLocally } from "./execute.js";
export type { FunctionStepOptions } from "./graph-of.js";
export type { PipelineOptions, StepOptions, TaskStepOptions } from "./options.js";
export { failureText, PipelineController } from "./pipeline-controller.js";
export { PIPELINE_TAG, PipelineRun, type StepSummary } from "./runs.js";
