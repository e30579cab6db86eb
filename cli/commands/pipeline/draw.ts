import type { CheckedGraph } from "../../../controller/graph/index.js";
import type { ParameterValue } from "../../../protocol/index.js";

const MAX_DRAWN = 300;

const MARKS: [mark: string, meaning: string][] = [
  ["?", "runs on a condition"],
  ["↻", "runs again until"],
  ["✋", "waits for approval"],
  ["▣", "a pipeline"],
];

/**
 * A pipeline as text, from left to right. Each step stands behind the last of those that it waits for; the others are named with it.
 *
 *   prep ──▶ train[lr×3] ──▶ pick ──▶ deploy?
 *            └──▶ report
 */
export function drawGraph(checked: CheckedGraph): string {
  const { order, isFinally } = checked;
  if (order.length > MAX_DRAWN) return flat(checked);
  const trees = treesOf(checked);
  const drawn = (names: string[]) => names.flatMap((name) => block(name, trees)).map((line) => `  ${line.trimEnd()}`);
  const roots = order.filter((name) => trees.parent(name) === undefined);
  const lines = drawn(roots.filter((name) => !isFinally(name)));
  const finals = drawn(roots.filter(isFinally));
  const text = lines.concat(finals).join("\n");
  const legend = MARKS.filter(([mark]) => text.includes(mark)).map(([mark, meaning]) => `${mark} ${meaning}`);
  return [...lines, ...(finals.length > 0 ? ["finally", ...finals] : []), ...(legend.length > 0 ? ["", legend.join("   ")] : [])].join(
    "\n",
  );
}

/** Of so many only who waits for whom. */
function flat({ order, parentsOf }: CheckedGraph): string {
  return order.map((name) => [name, ...(parentsOf(name).length > 0 ? ["◀──", parentsOf(name).join(", ")] : [])].join(" ")).join("\n");
}

interface Trees {
  label(name: string): string;
  parent(name: string): string | undefined;
  children(name: string): string[];
}

/** Each step is a child of the last of its parents: the longest way to it. */
function treesOf(checked: CheckedGraph): Trees {
  const place = new Map(checked.order.map((name, index) => [name, index]));
  const depth = new Map<string, number>();
  for (const name of checked.order) depth.set(name, Math.max(-1, ...checked.parentsOf(name).map((parent) => depth.get(parent)!)) + 1);
  const rank = (name: string) => [depth.get(name)!, place.get(name)!] as const;
  const parents = new Map(
    checked.order.map((name) => [name, checked.parentsOf(name).toSorted((a, b) => rank(b)[0] - rank(a)[0] || rank(b)[1] - rank(a)[1])]),
  );
  const children = new Map<string, string[]>();
  for (const [name, [parent]] of parents) if (parent !== undefined) children.set(parent, [...(children.get(parent) ?? []), name]);
  const heights = new Map<string, number>();
  for (const name of checked.order.toReversed())
    heights.set(name, 1 + Math.max(0, ...(children.get(name) ?? []).map((child) => heights.get(child)!)));
  return {
    label: (name) => {
      const [nearest, ...more] = parents.get(name)!;
      const before = ancestorsOf(nearest, parents);
      const others = more.filter((parent) => !before.has(parent));
      return labelOf(checked, name) + (others.length > 0 ? ` (also after ${others.join(", ")})` : "");
    },
    parent: (name) => parents.get(name)![0],
    children: (name) => (children.get(name) ?? []).toSorted((a, b) => heights.get(b)! - heights.get(a)! || place.get(a)! - place.get(b)!),
  };
}

function ancestorsOf(name: string | undefined, parents: ReadonlyMap<string, string[]>): Set<string> {
  const found = new Set(name === undefined ? [] : [name]);
  for (const each of found) for (const parent of parents.get(each) ?? []) found.add(parent);
  return found;
}

/** The lines of a step and all behind it: the first child on its own line, the others below. */
function block(name: string, trees: Trees): string[] {
  const label = trees.label(name);
  const [first, ...others] = trees.children(name);
  if (first === undefined) return [label];
  const [head = "", ...rest] = block(first, trees);
  const bar = (hasMore: boolean) => (hasMore ? "│" : " ");
  const lines = [`${label} ──▶ ${head}`, ...rest.map((line) => bar(others.length > 0) + " ".repeat(label.length + 4) + line)];
  others.forEach((child, index) => {
    const hasMore = index < others.length - 1;
    const [childHead = "", ...below] = block(child, trees);
    lines.push(`${hasMore ? "├" : "└"}──▶ ${childHead}`, ...below.map((line) => `${bar(hasMore)}    ${line}`));
  });
  return lines;
}

/** `train[lr×3]?` */
export function labelOf(checked: CheckedGraph, name: string): string {
  const { matrix, when, until, approve, action } = checked.step(name);
  const count = (value: ParameterValue) => (Array.isArray(value) ? `×${value.length}` : parameterCount(checked, value));
  const keys = Object.entries(matrix ?? {}).map(([key, value]) => `${key}${count(value)}`);
  const marks = [when !== undefined && "?", until && "↻", approve && "✋", action.kind === "pipeline" && "▣"];
  return name + (matrix ? `[${keys.join(", ")}]` : "") + marks.filter(Boolean).join("");
}

/** Of a matrix that is a parameter: as many as its default has. */
function parameterCount({ graph }: CheckedGraph, value: ParameterValue): string {
  const name = /^\$\{(?:params|pipeline)\.([\w-]+)\}$/.exec(typeof value === "string" ? value : "")?.[1];
  const list = name === undefined ? undefined : graph.parameters[name]?.default;
  return Array.isArray(list) ? `×${list.length}` : "";
}
