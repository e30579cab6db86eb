/** The autoscaler: a controller that has machines started and stopped by commands. */
export { AUTOSCALE_DEFINITION, executeAutoscale } from "./autoscale.js";
export { type AutoscaleOptions, autoscaleConfigOf, parseAutoscaleFile } from "./definition.js";
export type { RunCommand } from "./run.js";
