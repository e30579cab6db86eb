/** Sweeps: a search for good parameters, as a controller. */
export { type SweepConfig, type SweepOptions } from "./definition.js";
export { parseSweepFile } from "./file.js";
export type { SweepResult } from "./run.js";
export { isSweep, readSweep, SWEEP_TYPE, Sweep, type SweepRunOptions, type SweepView, sweepTemplateOf } from "./sweep.js";
export { countsOf, figure, parameterText } from "./sweep-report.js";
export { isOpen, ranked, type TrialState, type TrialView } from "./trial.js";
