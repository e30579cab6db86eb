type Tree = { [key: string]: unknown };

/** One over the other: maps deep, everything else whole. */
export function merged(base: object, ...overs: object[]): Tree {
  return overs.reduce<Tree>(mergeTwo, base as Tree);
}

function mergeTwo(base: Tree, over: object): Tree {
  const out: Tree = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const before = out[key];
    out[key] = isTree(before) && isTree(value) ? mergeTwo(before, value) : value;
  }
  return out;
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
