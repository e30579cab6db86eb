import { NavvyError } from "../../protocol/index.js";

/** Says where in a file something stands that a definition has at a path. */
export type PlaceOf = (path: (string | number)[]) => string;

/** Any JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Reads an object from YAML (or JSON).
 * @param file its name, for messages
 * @throws NavvyError invalid_argument: no YAML, with line and column; no object
 */
export async function readYaml(text: string, file: string): Promise<{ written: Record<string, unknown>; placeOf: PlaceOf }> {
  const { LineCounter, parseDocument } = await import("yaml");
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const [broken] = document.errors;
  if (broken) throw new NavvyError("invalid_argument", `${at(broken.pos[0])}: this is no YAML`, { cause: broken, why: broken.message });
  const written: unknown = document.toJS();
  if (!isObject(written)) throw new NavvyError("invalid_argument", `${file} holds nothing: an object with keys is wanted`);
  const placeOf: PlaceOf = (path) => {
    // What is missing has no place of its own: that of what it is missing from.
    for (let depth = path.length; depth >= 0; depth--) {
      const offset = startOf(document, path.slice(0, depth));
      if (offset !== undefined) return `${at(offset)} ${path.join(".")}`;
    }
    return `${file} ${path.join(".")}`;
  };
  return { written, placeOf };
}

interface Placed {
  range?: [number, number, number] | null;
}

/** Where a key begins, or the value of what has no key. */
function startOf(document: { contents: unknown; getIn(path: unknown[], keepNode: boolean): unknown }, path: (string | number)[]) {
  const parent = path.length > 0 ? document.getIn(path.slice(0, -1), true) : undefined;
  const items = (parent as { items?: { key?: Placed & { value?: unknown } }[] } | undefined)?.items ?? [];
  const key = items.find((pair) => pair.key !== undefined && String(pair.key.value) === String(path.at(-1)))?.key;
  const node = key ?? (path.length === 0 ? document.contents : document.getIn(path, true));
  return (node as Placed | undefined)?.range?.[0];
}
