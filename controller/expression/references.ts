import type { ParameterValue } from "../../protocol/index.js";
import { children, Expression, FOREIGN_ROOTS, type Node, type NodeOf, ROOTS, STEP_FIELDS } from "./node.js";
import { split } from "./template.js";

/** Something outside of an expression that it asks for. */
export interface Reference {
  /** `params`, `steps`, `matrix`, `run`, `round`, `secrets`, `inputs`; `pipeline` is `params`, and a bare step name is `steps`. */
  root: "params" | "steps" | "matrix" | "run" | "round" | "secrets" | "inputs";
  /** Of `steps`: which. */
  step?: string;
  /** What is asked of it. `*` is a member of a matrix, or whatever an index that is computed gives. */
  path: string[];
  /** As it is written. */
  text: string;
  /** The expression that it stands in. */
  source: string;
  /** Where in it. */
  at: number;
}

/**
 * Everything that a value's expressions ask for, through lists and maps, in order; of an expression, its own. What `.map()` and
 * `.best()` ask of members is among them.
 * @throws NavvyError an expression can not be read
 */
export function referencesIn(value: ParameterValue | Expression): Reference[] {
  return expressionsIn(value).flatMap((expression) => {
    const found: Reference[] = [];
    collect(expression.node, { source: expression.source, locals: [], found });
    return found;
  });
}

/** The expressions in a value's texts. @throws NavvyError one can not be read */
export function expressionsIn(value: ParameterValue | Expression): Expression[] {
  if (value instanceof Expression) return [value];
  if (typeof value === "string") {
    if (!value.includes("${")) return [];
    return split(value).flatMap((part) => (typeof part === "string" ? [] : [part.expression]));
  }
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap((each: ParameterValue) => expressionsIn(each));
}

/** Whether it looks at how its parents ended by itself: `always()`, `success()`, `failure()`. */
export function usesStatus(expression: Expression): boolean {
  return uses(expression.node, ["always", "success", "failure"]);
}

function uses(node: Node, functions: string[]): boolean {
  return (node.kind === "call" && functions.includes(node.name)) || children(node).some((child) => uses(child, functions));
}

interface Collecting {
  source: string;
  /** Inside of `.map()`: what its members are of. */
  locals: { step: string; name: string }[];
  found: Reference[];
}

type Chain = Pick<Reference, "root" | "step" | "path">;

function collect(node: Node, of: Collecting): void {
  if (node.kind !== "name" && node.kind !== "member" && node.kind !== "index" && node.kind !== "method") {
    for (const child of children(node)) collect(child, of);
    return;
  }
  const chain = chainOf(node, of);
  if (chain) of.found.push({ ...chain, text: of.source.slice(node.at, node.end), source: of.source, at: node.at });
}

/** What a path leads to. Undefined where it begins with something else, which was looked through then. */
function chainOf(node: Node, of: Collecting): Chain | undefined {
  switch (node.kind) {
    case "name":
      return rootOf(node.name, of);
    case "member":
      if (node.of.kind === "name" && node.of.name === "steps") return { root: "steps", step: node.name, path: [] };
      return extended(chainOf(node.of, of), node.name);
    case "index": {
      if (node.index.kind !== "value") collect(node.index, of);
      const base = chainOf(node.of, of);
      const index = node.index.kind === "value" && typeof node.index.value === "number" ? node.index.value : undefined;
      return extended(base, index !== undefined && base?.path.length !== 0 ? String(index) : "*");
    }
    case "method":
      return methodOf(node, of);
    default:
      collect(node, of);
      return undefined;
  }
}

const extended = (chain: Chain | undefined, name: string) => chain && { ...chain, path: [...chain.path, name] };

function rootOf(name: string, { locals }: Collecting): Chain {
  const local = locals.findLast((each) => each.name === name) ?? (isField(name) ? locals.at(-1) : undefined);
  if (local) return { root: "steps", step: local.step, path: local.name === name ? ["*"] : ["*", name] };
  if (name === "pipeline") return { root: "params", path: [] };
  const root = [...ROOTS, ...FOREIGN_ROOTS].find((each) => each === name);
  if (root && root !== "pipeline") return { root, path: [] };
  return { root: "steps", step: name, path: [] };
}

const isField = (name: string) => name !== "params" && STEP_FIELDS.some((field) => field === name);

function methodOf({ of: base, name, args }: NodeOf<"method">, of: Collecting): Chain | undefined {
  const chain = chainOf(base, of);
  const variable = name === "map" && args.length === 2 ? (args[0] as NodeOf<"name">).name : "task";
  const body = name === "map" ? args.slice(-1) : args.slice(0, 1);
  const locals = chain?.step === undefined ? of.locals : [...of.locals, { step: chain.step, name: variable }];
  for (const arg of body) collect(arg, { ...of, locals });
  if (name === "best" && args[1]) collect(args[1], of);
  return extended(chain, "*");
}
