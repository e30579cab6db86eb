/** Pipelines as data: what can be said of one before it runs. */
export { type CheckedGraph, checkGraph } from "./check.js";
export * from "./graph.js";
export { checkParameters } from "./parameters.js";
export { didYouMean, type Problem } from "./problems.js";
export * from "./step-state.js";
