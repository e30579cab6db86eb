/**
 * `navvy/controller`: for programs that drive other tasks. Clone a template, change its parameters, send the clone to a
 * queue, wait, look at what came back, act on it.
 */
export { isNavvyError, NavvyError } from "../protocol/index.js";
export * from "./autoscale/index.js";
export * from "./cleanup/index.js";
export { connectTo, disconnect } from "./connection.js";
export type { CloneOptions, CreateOptions, InitOptions, TaskReference } from "./options.js";
export { type ParkOptions, park } from "./park.js";
export * from "./pipeline/index.js";
export type { RemoteOptions } from "./remote.js";
export type { Report } from "./report.js";
export { TaskArtifact, TaskArtifacts, TaskMetrics } from "./results.js";
export { step } from "./step.js";
export * from "./sweep/index.js";
export { Task } from "./task.js";
export { type WaitForOptions, waitAll, waitAny } from "./wait.js";
