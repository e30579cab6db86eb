import type { MetricSummary, ParameterValue } from "../../protocol/index.js";

/** Where it stands in its source, from `at` up to `end`. */
interface Span {
  at: number;
  end: number;
}

export const BINARY = ["||", "&&", "==", "!=", "<=", ">=", "<", ">", "in", "+", "-", "*", "/", "%"] as const;
export type BinaryOperator = (typeof BINARY)[number];

/** What can be asked of a step with a matrix. */
export const METHODS = ["map", "best"] as const;
export type Method = (typeof METHODS)[number];

export type Node = Span &
  (
    | { kind: "value"; value: ParameterValue }
    | { kind: "list"; items: Node[] }
    | { kind: "name"; name: string }
    /** `of.name`, `of['name']`. */
    | { kind: "member"; of: Node; name: string }
    | { kind: "index"; of: Node; index: Node }
    | { kind: "call"; name: string; args: Node[] }
    | { kind: "method"; of: Node; name: Method; args: Node[] }
    | { kind: "unary"; op: "!" | "-"; of: Node }
    | { kind: "binary"; op: BinaryOperator; left: Node; right: Node }
    | { kind: "choice"; condition: Node; whenTrue: Node; whenFalse: Node }
  );

export type NodeOf<Kind extends Node["kind"]> = Extract<Node, { kind: Kind }>;

/** An expression that was read: `parseExpression` makes it, `evaluate` gives its value. */
export class Expression {
  readonly source: string;
  readonly node: Node;

  constructor(source: string, node: Node) {
    this.source = source;
    this.node = node;
  }
}

/** What expressions begin with; any other bare name is a step's. */
export const ROOTS = ["params", "pipeline", "steps", "matrix", "run", "round"] as const;

/** Known elsewhere: a secret stands in `env` alone, an input is filled in by the agent. */
export const FOREIGN_ROOTS = ["secrets", "inputs"] as const;

/** What `run.` gives. */
export const RUN_FIELDS = ["id", "name", "project", "version", "number", "startedAt"] as const;

/** What a step gives. `params.K` is short for `parameters.General/K`. */
export const STEP_FIELDS = [
  "id",
  "name",
  "state",
  "parameters",
  "params",
  "outputs",
  "artifacts",
  "metrics",
  "models",
  "task",
  "matrix",
] as const;

export const ARTIFACT_FIELDS = ["url", "path", "name", "sha256", "size", "kind", "files", "version", "mediaType", "preview"] as const;

/** What a metric gives, and where that stands. */
export const FIGURES: Record<string, keyof MetricSummary> = {
  last: "last",
  min: "min",
  max: "max",
  at_min: "minStep",
  at_max: "maxStep",
  at_last: "lastStep",
  minStep: "minStep",
  maxStep: "maxStep",
  lastStep: "lastStep",
  count: "count",
};

export function children(node: Node): Node[] {
  switch (node.kind) {
    case "value":
    case "name":
      return [];
    case "list":
      return node.items;
    case "member":
    case "unary":
      return [node.of];
    case "index":
      return [node.of, node.index];
    case "call":
      return node.args;
    case "method":
      return [node.of, ...node.args];
    case "binary":
      return [node.left, node.right];
    case "choice":
      return [node.condition, node.whenTrue, node.whenFalse];
  }
}
