import { isNavvyError } from "../../protocol/index.js";
import { type Reference, referencesIn } from "../expression/index.js";
import { checkReference } from "./check-reference.js";
import { checkParents, checkQueue, checkStep } from "./check-step.js";
import { Graph, type NewGraph, type Step } from "./graph.js";
import { childrenOf, topologicalOrder } from "./order.js";
import { overlooked } from "./overlooked.js";
import { checkParameter } from "./parameters.js";
import { Problems, problemsError, type Report } from "./problems.js";
import { staticType } from "./static-types.js";
import { expressionsOf, outputTexts, type Text, textsOf } from "./texts.js";

/** A graph that can be run as far as can be known before: every name in it is there, and nothing waits for itself. */
export interface CheckedGraph {
  /** Defaults filled in. */
  graph: Graph;
  /** All steps, parents first; the finally-steps after all the others. */
  order: string[];
  /** @throws NavvyError internal: no step of that name */
  readonly step: (name: string) => Step;
  /** Those that were named, and those whose results it uses; of a finally-step only other finally-steps. */
  readonly parentsOf: (name: string) => string[];
  readonly childrenOf: (name: string) => string[];
  readonly isFinally: (name: string) => boolean;
}

/**
 * Looks at all that can be wrong before anything starts.
 * @throws NavvyError invalid_argument, one for all problems: each with its place and path, and what was probably meant
 */
export function checkGraph(given: NewGraph): CheckedGraph {
  const problems = new Problems(`pipeline ${given.name}`);
  const checked = check(given, problems, []);
  problems.throwIfAny();
  return checked!;
}

const MAX_NESTED = 20;

function check(given: NewGraph, problems: Problems, prefix: string[]): CheckedGraph | undefined {
  if (nesting(given, 0) > MAX_NESTED) {
    problems.under(prefix)(["steps"], `pipelines stand within each other more than ${MAX_NESTED} deep, or one is a step of itself`);
    return undefined;
  }
  const read = Graph.safeParse(given);
  if (read.success) return new Check(read.data, problems, prefix).checked();
  for (const issue of read.error.issues) problems.under(prefix)(named(given, issue.path.map(String)), messageOf(issue));
  return undefined;
}

function nesting({ steps, finally: finals = [] }: NewGraph, depth: number): number {
  if (depth > MAX_NESTED || !Array.isArray(steps)) return depth;
  const nested = [...steps, ...finals].flatMap(({ action }) => (action?.kind === "pipeline" ? [action.pipeline as NewGraph] : []));
  return nested.reduce((deepest, graph) => (deepest > MAX_NESTED ? deepest : Math.max(deepest, nesting(graph, depth + 1))), depth);
}

function messageOf({ code, message }: { code?: string; message: string }): string {
  const isName = code === "invalid_key" || (code === "invalid_format" && message.includes("A-Za-z_"));
  return isName ? "a name begins with a letter or _, and is at most 64 letters, digits, - and _" : message;
}

/** `steps.3.name` as `steps.train.name`. */
function named(given: NewGraph, path: string[]): string[] {
  const [list, index, ...rest] = path;
  if (list !== "steps" && list !== "finally") return path;
  const name = index === undefined ? undefined : given[list]?.[Number(index)]?.name;
  return typeof name === "string" ? [list, name, ...rest] : path;
}

/** Round to where it began; of a long one its ends. */
function shown(cycle: string[]): string {
  const names = cycle.length > 20 ? [...cycle.slice(0, 10), `… ${cycle.length - 19} more …`, ...cycle.slice(-9)] : cycle;
  return [...names, cycle[0]].join(" → ");
}

class Check {
  readonly #graph: Graph;
  readonly #problems: Problems;
  readonly #prefix: string[];
  readonly #steps = new Map<string, Step>();
  readonly #finals: ReadonlySet<string>;

  constructor(graph: Graph, problems: Problems, prefix: string[]) {
    this.#graph = graph;
    this.#problems = problems;
    this.#prefix = prefix;
    this.#finals = new Set(graph.finally.map(({ name }) => name));
  }

  checked(): CheckedGraph {
    const report = this.#problems.under(this.#prefix);
    const { parameters, queue, steps } = this.#graph;
    for (const [name, parameter] of Object.entries(parameters))
      checkParameter(parameter, (at, ...rest) => report(["parameters", name, ...at], ...rest));
    checkQueue(queue, report);
    if (steps.length === 0) report(["steps"], "there are none");
    this.#name();
    const parents = new Map(this.#all.map((step) => [step.name, this.#checkStep(step)]));
    for (const text of outputTexts(this.#graph)) this.#checkText(text, undefined, report);
    return this.#ordered(parents, report);
  }

  get #all(): Step[] {
    return [...this.#graph.steps, ...this.#graph.finally];
  }

  #reporter(step: Step): Report {
    return this.#problems.under(this.#pathOf(step), step.place);
  }

  #pathOf({ name }: Step): string[] {
    return [...this.#prefix, this.#finals.has(name) ? "finally" : "steps", name];
  }

  #name(): void {
    for (const step of this.#all) {
      const first = this.#steps.get(step.name);
      if (first) this.#reporter(step)([], `there are two steps of that name${first.place ? `; the first is at ${first.place}` : ""}`);
      else this.#steps.set(step.name, step);
    }
  }

  /** Gives its parents. */
  #checkStep(step: Step): Set<string> {
    const report = this.#reporter(step);
    checkStep(step, this.#graph, report);
    checkParents({ step, names: this.#steps, finals: this.#finals }, report);
    if (step.action.kind === "pipeline") check(step.action.pipeline, this.#problems, [...this.#pathOf(step), "pipeline"]);
    const isKnown = (name: string) => name !== step.name && this.#steps.has(name) && this.#finals.has(name) === this.#finals.has(step.name);
    const parents = new Set(step.parents.filter(isKnown));
    const onlyAsked: Reference[] = [];
    for (const text of textsOf(step)) {
      const references = this.#checkText(text, step, report).filter(({ step: name }) => name !== undefined && isKnown(name));
      if (text.at[0] === "when") onlyAsked.push(...references);
      else for (const { step: name } of references) parents.add(name!);
    }
    for (const { step: name } of onlyAsked) {
      if (!parents.has(name!)) report(["when"], `it asks for step ${name}, which the step does not wait for`, `needs: [${name}]`);
      parents.add(name!);
    }
    return parents;
  }

  /** Gives what it refers to. */
  #checkText(text: Text, step: Step | undefined, report: Report): Reference[] {
    const say = (message: string, fix?: string) => report(text.at, message, fix);
    try {
      return expressionsOf(text).flatMap((expression) => {
        const references = referencesIn(expression);
        const place = {
          graph: this.#graph,
          steps: this.#steps,
          finals: this.#finals,
          step,
          part: text.at[0]!,
          isTemplate: text.kind === "template",
        };
        for (const reference of references) checkReference(reference, place, say);
        staticType(expression.node, this.#graph.parameters, (message) => say(`\${${expression.source}}: ${message}`));
        return references;
      });
    } catch (error) {
      if (!isNavvyError(error)) throw error;
      say(error.message, error.fix[0]);
      return [];
    } finally {
      if (text.kind === "template") overlooked(text.value, (name) => this.#steps.has(name), say);
    }
  }

  #ordered(parents: Map<string, Set<string>>, report: Report): CheckedGraph {
    const { order, cycle } = topologicalOrder(parents);
    if (cycle) report(["steps"], `steps wait for each other: ${shown(cycle)}`);
    const children = childrenOf(parents);
    return {
      graph: this.#graph,
      order: [...order.filter((name) => !this.#finals.has(name)), ...order.filter((name) => this.#finals.has(name))],
      step: (name) => this.#known(this.#steps.get(name), name),
      parentsOf: (name) => [...this.#known(parents.get(name), name)],
      childrenOf: (name) => this.#known(children.get(name), name),
      isFinally: (name) => this.#finals.has(name),
    };
  }

  #known<T>(found: T | undefined, name: string): T {
    if (found === undefined)
      throw problemsError(`pipeline ${this.#graph.name}`, [{ path: "steps", at: ["steps"], message: `there is no step ${name}` }]);
    return found;
  }
}
