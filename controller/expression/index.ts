/** The language of `${…}` in pipelines: docs/pipelines.md. Nothing here does any I/O. */
export { evaluate } from "./evaluate.js";
export { Expression, ROOTS } from "./node.js";
export { parseExpression } from "./parser.js";
export { expressionsIn, type Reference, referencesIn, usesStatus } from "./references.js";
export type { RunView, Scope, StepView } from "./scope.js";
export { fillScript, misplacedIn } from "./script.js";
export { fill } from "./template.js";
