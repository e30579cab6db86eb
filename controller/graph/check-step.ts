import { checkName, isNavvyError, type ParameterValue, parseCondition } from "../../protocol/index.js";
import { type Expression, evaluate, expressionsIn, misplacedIn, parseExpression, ROOTS, type Scope } from "../expression/index.js";
import { FOREIGN_ROOTS } from "../expression/node.js";
import { checkSpec } from "./check-spec.js";
import { type Graph, MAX_MATRIX, type Step } from "./graph.js";
import { readParameters } from "./parameters.js";
import { didYouMean, type Report } from "./problems.js";
import { staticType } from "./static-types.js";

const RESERVED = [...ROOTS, ...FOREIGN_ROOTS, "true", "false", "null", "in"];

/** What can be said of a step without the others. */
export function checkStep(step: Step, graph: Graph, report: Report): void {
  if (RESERVED.includes(step.name)) report([], `a step can not be called ${JSON.stringify(step.name)}: expressions begin with it`);
  checkAction(step, report);
  checkScript(step, report);
  checkSpec(step.overrides, { isWhole: false, report: (at, message) => report(["overrides", ...at], message) });
  for (const name of Object.keys(step.parameters))
    if (!/^[^/]+\/./.test(name)) report(["parameters", name], "a task's parameter has a section", `General/${name.replace(/^\//, "")}`);
  checkQueue(step.queue, report);
  checkMatrix(step, graph, report);
  checkConditions(step, graph, report);
}

function checkAction({ action, overrides }: Step, report: Report): void {
  if (action.kind === "pipeline") {
    const { parameters } = action.pipeline;
    const isKnown = (name: string) => Object.hasOwn(parameters, name);
    readParameters(parameters, action.with, (at, message) => {
      const value = Object.hasOwn(action.with, at[0]!) ? action.with[at[0]!]! : null;
      if (!isKnown(at[0]!) || isLiteral(value)) report(["action", "with", ...at], message);
    });
  }
  if (action.kind !== "task") return;
  checkSpec(action.spec, { isWhole: true, report: (at, message) => report(["action", "spec", ...at], message) });
  const { command } = { ...action.spec, ...overrides };
  const hasCommand = command !== undefined && !(Array.isArray(command) && command.length === 0);
  const container = action.spec["container"] as { entrypoint?: unknown } | undefined;
  if (action.script === undefined && !hasCommand && container?.entrypoint === undefined)
    report(["action"], "there is nothing to run: neither a command nor a script");
  if (action.script !== undefined && hasCommand) report(["action"], "it has a command and a script: one of them");
}

/** An expression that can not be read is said elsewhere. */
function checkScript({ action, until }: Step, report: Report): void {
  if (action.kind !== "task" || action.script === undefined) return;
  try {
    for (const { message, fix } of misplacedIn(action.script, until !== undefined)) report(["action", "script"], message, fix[0]);
  } catch (error) {
    if (!isNavvyError(error)) throw error;
  }
}

/** Nothing is filled in. One that can not be read is said elsewhere. */
function isLiteral(value: ParameterValue): boolean {
  try {
    return expressionsIn(value).length === 0;
  } catch (error) {
    if (isNavvyError(error)) return false;
    throw error;
  }
}

export function checkQueue(queue: string | undefined, report: Report): void {
  if (queue === undefined || queue.includes("${")) return;
  try {
    checkName("queue", queue);
  } catch (error) {
    if (!isNavvyError(error)) throw error;
    report(["queue"], `${error.message}: ${error.why}`);
  }
}

function checkMatrix({ matrix, maxParallel }: Step, graph: Graph, report: Report): void {
  if (!matrix) {
    if (maxParallel !== undefined) report(["maxParallel"], "it is for a step with a matrix, which this one has not");
    return;
  }
  if (Object.keys(matrix).length === 0) report(["matrix"], "it has no keys");
  let [size, isKnown] = [1, true];
  for (const [key, value] of Object.entries(matrix)) {
    const list = listOf(value, graph);
    if (typeof list === "string") report(["matrix", key], list);
    if (list === undefined) isKnown = false;
    else if (typeof list === "number") size *= list;
    if (list === 0) report(["matrix", key], "the list is empty: there would be nothing to run");
  }
  if (size > MAX_MATRIX) report(["matrix"], `it has ${isKnown ? "" : "at least "}${size} members; the limit is ${MAX_MATRIX}`);
}

/** How many it has; what is wrong with it; undefined: that shows when it is filled in. */
function listOf(value: ParameterValue, graph: Graph): number | string | undefined {
  if (Array.isArray(value)) return value.length;
  const shown = JSON.stringify(value);
  if (typeof value !== "string") return `${shown.length > 40 ? "it" : shown} is not a list`;
  const whole = /^\$\{(.*)\}$/s.exec(value);
  if (!whole || !value.includes("${")) return `${shown} is not a list; write [${value}], or an expression that gives one`;
  try {
    const expression = parseExpression(whole[1]!);
    const type = staticType(expression.node, graph.parameters, () => undefined);
    if (type !== undefined && type !== "list") return `\${${expression.source}} is a ${type}, not a list`;
    return literalLength(expression);
  } catch (error) {
    if (isNavvyError(error)) return undefined;
    throw error;
  }
}

/** Of one that asks for nothing: `range(100)`; what is wrong with it. */
function literalLength(expression: Expression): number | string | undefined {
  try {
    const value = evaluate(expression, NOTHING);
    return Array.isArray(value) ? value.length : undefined;
  } catch (error) {
    if (!isNavvyError(error)) throw error;
    return /; the limit is \d+$/.test(error.message) ? error.message : undefined;
  }
}

const NOTHING: Scope = {
  params: {},
  run: { id: "", name: "", project: "", version: "", number: 1, startedAt: "" },
  step: () => undefined,
  status: { success: true, failure: false },
  pathOf: () => "",
  now: "",
};

function checkConditions({ when, until, earlyStop, cache }: Step, graph: Graph, report: Report): void {
  if (until && cache !== "off") report(["cache"], "a step that runs again until something holds can not be taken from the cache");
  const conditions: [string[], string | undefined][] = [
    [["when"], when],
    [["until", "condition"], until?.condition],
  ];
  for (const [at, source] of conditions) {
    if (source === undefined) continue;
    const type = typeOf(source, graph);
    if (type && type !== "bool" && type !== "text") report(at, `it has to be true or false, and is a ${type}`);
    if (source.includes("${")) report(at, "it is an expression by itself: write it without ${ and }");
  }
  if (earlyStop === undefined || earlyStop.includes("${")) return;
  try {
    parseCondition(earlyStop);
  } catch (error) {
    if (!isNavvyError(error)) throw error;
    report(["earlyStop"], error.message, error.fix[0]);
  }
}

function typeOf(source: string, graph: Graph): string | undefined {
  try {
    return staticType(parseExpression(source).node, graph.parameters, () => undefined);
  } catch (error) {
    if (isNavvyError(error)) return undefined;
    throw error;
  }
}

/** Whether parents are there. */
export function checkParents(
  { step, names, finals }: { step: Step; names: ReadonlyMap<string, Step>; finals: ReadonlySet<string> },
  report: Report,
): void {
  const known = finals.has(step.name) ? finals : { has: (name: string) => names.has(name), keys: () => names.keys() };
  step.parents.forEach((parent, index) => {
    const at = ["parents", String(index)];
    if (parent === step.name) report(at, "a step can not wait for itself");
    else if (known.has(parent) && (finals.has(step.name) || !finals.has(parent))) return;
    else if (finals.has(parent)) report(at, `step ${parent} is a finally-step: it runs when this one is over`);
    else if (names.has(parent)) report(at, `step ${parent} is over before any finally-step runs: it need not be named`);
    else report(at, `there is no step ${JSON.stringify(parent)}${didYouMean(parent, known.keys())}`);
  });
}
