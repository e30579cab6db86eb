import type { Node, NodeOf } from "../expression/node.js";
import type { Graph } from "./graph.js";

/** What a value will be, as far as it can be known before anything runs. */
export type StaticType = "number" | "text" | "bool" | "list" | "map" | undefined;

type Parameters = Graph["parameters"];
type Say = (message: string) => void;

const OF_VALUE: Record<string, StaticType> = { number: "number", string: "text", boolean: "bool" };
const OF_PARAMETER: Record<string, StaticType> = {
  int: "number",
  float: "number",
  string: "text",
  bool: "bool",
  list: "list",
  any: undefined,
};
const OF_FUNCTION: Record<string, StaticType> = {
  json: "text",
  join: "text",
  length: "number",
  sum: "number",
  range: "list",
  basename: "text",
  match: "bool",
  upper: "text",
  lower: "text",
  round: "number",
  now: "text",
  always: "bool",
  success: "bool",
  failure: "bool",
};

/** The type of an expression; what can never work in it is said. */
export function staticType(node: Node, parameters: Parameters, say: Say): StaticType {
  return new Types(parameters, say).of(node);
}

class Types {
  readonly #parameters: Parameters;
  readonly #say: Say;

  constructor(parameters: Parameters, say: Say) {
    this.#parameters = parameters;
    this.#say = say;
  }

  of(node: Node): StaticType {
    switch (node.kind) {
      case "value":
        return OF_VALUE[typeof node.value];
      case "list":
        for (const item of node.items) this.of(item);
        return "list";
      case "name":
        return node.name === "round" ? "number" : undefined;
      case "member":
        return this.#member(node);
      case "index":
        this.of(node.of);
        this.of(node.index);
        return undefined;
      case "call":
        for (const arg of node.args) this.of(arg);
        return Object.hasOwn(OF_FUNCTION, node.name) ? OF_FUNCTION[node.name] : undefined;
      case "method":
        this.of(node.of);
        for (const arg of node.args) this.of(arg);
        return node.name === "map" ? "list" : undefined;
      case "unary":
        return this.#unary(node);
      case "binary":
        return this.#binary(node);
      case "choice":
        return this.#choice(node);
    }
  }

  #member({ of, name }: NodeOf<"member">): StaticType {
    if (of.kind !== "name" || (of.name !== "params" && of.name !== "pipeline")) {
      this.of(of);
      return undefined;
    }
    const parameter = Object.hasOwn(this.#parameters, name) ? this.#parameters[name] : undefined;
    return parameter && OF_PARAMETER[parameter.type];
  }

  #unary({ op, of }: NodeOf<"unary">): StaticType {
    const type = this.of(of);
    if (op === "!") this.#wantsBool("!", type);
    else this.#wantsNumber("-", type, of);
    return op === "!" ? "bool" : "number";
  }

  #choice({ condition, whenTrue, whenFalse }: NodeOf<"choice">): StaticType {
    this.#wantsBool("? :", this.of(condition));
    const [yes, no] = [this.of(whenTrue), this.of(whenFalse)];
    return yes === no ? yes : undefined;
  }

  #binary({ op, left, right }: NodeOf<"binary">): StaticType {
    const [a, b] = [this.of(left), this.of(right)];
    switch (op) {
      case "||":
      case "&&":
        this.#wantsBool(op, a);
        this.#wantsBool(op, b);
        return "bool";
      case "==":
      case "!=":
      case "<":
      case "<=":
      case ">":
      case ">=":
        this.#compares(op, a, b);
        return "bool";
      case "in":
        if (b === "number" || b === "bool") this.#say(`"in" wants a list, a text or a map after it, and gets a ${b}`);
        return "bool";
      case "+":
        return this.#sum(a, b);
      default:
        this.#wantsNumber(op, a, left);
        this.#wantsNumber(op, b, right);
        return "number";
    }
  }

  #sum(a: StaticType, b: StaticType): StaticType {
    if (a === "list" && b === "list") return "list";
    const types = [a, b];
    const isMixed = types.includes("list") || types.includes("map") || (types.includes("bool") && !types.includes("text"));
    if (a && b && isMixed) this.#say(`a ${a} and a ${b} can not be added`);
    return a === "number" && b === "number" ? "number" : undefined;
  }

  /** A text may be that of a number: those two are compared. */
  #compares(op: string, a: StaticType, b: StaticType): void {
    const areText = [a, b].every((type) => type === "text" || type === "number");
    if (a && b && a !== b && !areText) this.#say(`a ${a} is compared with a ${b} (${op})`);
    if (op.startsWith("<") || op.startsWith(">"))
      for (const type of [a, b]) if (type === "bool" || type === "list" || type === "map") this.#say(`a ${type} has no order (${op})`);
  }

  #wantsBool(op: string, type: StaticType): void {
    if (type === "number" || type === "list" || type === "map") this.#say(`"${op}" wants true or false, and gets a ${type}`);
  }

  #wantsNumber(op: string, type: StaticType, node: Node): void {
    const isNumber = node.kind === "value" && typeof node.value === "string" && !Number.isNaN(Number.parseFloat(node.value));
    if (type && type !== "number" && !isNumber) this.#say(`"${op}" wants numbers, and gets a ${type}`);
  }
}
