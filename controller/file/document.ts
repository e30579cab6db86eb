import { isMap, isNode, isScalar, LineCounter, type Node, type Pair, parseDocument, type YAMLMap } from "yaml";

/** Where something stands, both from 1. */
export interface Position {
  line: number;
  column: number;
}

export interface YamlDocument {
  value: unknown;
  /** What is wrong with it as YAML. */
  errors: { position: Position; message: string }[];
  /** Of what stands at a path, or of the part of the path that is there; with `ofKey` of the key before it. */
  positionOf(path: readonly (string | number)[], ofKey?: boolean): Position;
  has(path: readonly (string | number)[]): boolean;
}

/** Reads YAML 1.2; merge keys (`<<`) too. Nothing in it is run. */
export function readYaml(text: string): YamlDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, merge: true, prettyErrors: false });
  const find = finder();
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(Math.min(offset, text.length));
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const errors = [...document.errors, ...document.warnings].map(({ pos, message }) => ({
    position: positionAt(pos[0]),
    message: message.split("\n")[0]!,
  }));
  const value = errors.length > 0 ? undefined : valueOf(document, (message) => errors.push({ position: positionAt(0), message }));
  return {
    value,
    errors,
    positionOf: (path, ofKey = false) => positionAt(offsetOf({ root: document.contents, find }, path, ofKey)),
    has: (path) => document.hasIn(path),
  };
}

/** Aliases that would grow without end are refused here. */
function valueOf(document: ReturnType<typeof parseDocument>, wrong: (message: string) => void): unknown {
  try {
    return document.toJS({ maxAliasCount: 1_000 });
  } catch (error) {
    wrong((error as Error).message);
    return undefined;
  }
}

type Find = (node: YAMLMap, key: string) => Pair | undefined;

/** By key, gathered once for each map: a file may have 10,000 steps. */
function finder(): Find {
  const known = new WeakMap<YAMLMap, Map<string | undefined, Pair>>();
  return (node, key) => {
    const pairs = known.get(node) ?? new Map(node.items.map((pair) => [keyOf(pair), pair]));
    known.set(node, pairs);
    return pairs.get(key);
  };
}

function offsetOf({ root, find }: { root: Node | null; find: Find }, path: readonly (string | number)[], ofKey: boolean): number {
  let [node, offset]: [unknown, number] = [root, root?.range?.[0] ?? 0];
  for (const [index, key] of path.entries()) {
    const pair = isMap(node) ? find(node, String(key)) : undefined;
    const next: unknown = pair
      ? pair.value
      : isNode(node) && "get" in node
        ? (node as { get(key: unknown, keep: boolean): unknown }).get(Number(key), true)
        : undefined;
    const isLast = index === path.length - 1;
    if (pair && (!isNode(next) || isMap(next) || (ofKey && isLast))) offset = rangeOf(pair.key) ?? offset;
    else if (isNode(next)) offset = rangeOf(next) ?? offset;
    else return offset;
    node = next;
  }
  return offset;
}

const keyOf = ({ key }: Pair) => (isScalar(key) ? String(key.value) : undefined);
const rangeOf = (node: unknown) => (isNode(node) ? node.range?.[0] : undefined);
