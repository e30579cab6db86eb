/** Who comes after whom, by name. */
export type Edges = ReadonlyMap<string, ReadonlySet<string>>;

/** Names so that parents come first and, beyond that, as they were given; `cycle`: a way round, where there is one. */
export function topologicalOrder(parents: Edges): { order: string[]; cycle?: string[] } {
  const waiting = new Map([...parents].map(([name, of]) => [name, of.size]));
  const children = childrenOf(parents);
  const order = [...parents].filter(([, of]) => of.size === 0).map(([name]) => name);
  for (let next = 0; next < order.length; next++) {
    for (const child of children.get(order[next]!) ?? []) {
      const left = waiting.get(child)! - 1;
      waiting.set(child, left);
      if (left === 0) order.push(child);
    }
  }
  return order.length === parents.size ? { order } : { order, cycle: cycleIn(parents, new Set(order)) };
}

export function childrenOf(parents: Edges): Map<string, string[]> {
  const children = new Map<string, string[]>([...parents.keys()].map((name) => [name, []]));
  for (const [name, of] of parents) for (const parent of of) children.get(parent)?.push(name);
  return children;
}

/** Whatever could not be put in order has a parent that could not either: going up from it comes round. */
function cycleIn(parents: Edges, done: ReadonlySet<string>): string[] {
  const way = new Map<string, number>();
  let name = [...parents.keys()].find((each) => !done.has(each))!;
  while (!way.has(name)) {
    way.set(name, way.size);
    name = [...parents.get(name)!].find((parent) => !done.has(parent))!;
  }
  const round = [...way.keys()].slice(way.get(name)).reverse();
  const members = new Set(round);
  const first = round.indexOf([...parents.keys()].find((each) => members.has(each))!);
  return [...round.slice(first), ...round.slice(0, first)];
}
