import { once } from "node:events";
import { type Column, renderTable } from "./table.js";

/** `wide` is the table with every column. */
export const FORMATS = ["table", "wide", "json", "jsonl", "name"] as const;
export type Format = (typeof FORMATS)[number];

/** How one kind of thing is shown. `kind` names its JSON documents: `navvy.<kind>/1`. */
export interface View<T> {
  kind: string;
  columns: Column<T>[];
  /** What `-o name` prints. */
  name: (item: T) => string;
  /** What the table says when there is nothing. */
  empty: string;
}

/** Where a command prints: data on stdout, talk on stderr. */
export class Output {
  readonly format: Format;
  readonly #isQuiet: boolean;

  constructor(options: { format: Format; isQuiet: boolean }) {
    this.format = options.format;
    this.#isQuiet = options.isQuiet;
  }

  /** True when stdout is for a program: nothing but data may reach it. */
  get isData(): boolean {
    return this.format === "json" || this.format === "jsonl" || this.format === "name";
  }

  /** A line of data. */
  line(text: string): void {
    process.stdout.write(`${text}\n`);
  }

  /** Bytes of data, no faster than they are taken. */
  async bytes(data: Uint8Array, to: NodeJS.WriteStream = process.stdout): Promise<void> {
    if (!to.write(data)) await once(to, "drain");
  }

  /** A line for people, on stderr; left out with `--quiet`. */
  talk(text: string): void {
    if (!this.#isQuiet) process.stderr.write(`${text}\n`);
  }

  list<T extends object>(view: View<T>, items: T[]): void {
    if (this.format === "json") return this.line(pretty({ schema: `navvy.${view.kind}s/1`, items: items.map(plain) }));
    if (this.format === "jsonl") return items.forEach((item) => this.line(compact(view.kind, item)));
    if (this.format === "name") return items.forEach((item) => this.line(view.name(item)));
    if (items.length === 0) return this.talk(view.empty);
    const columns = view.columns.filter((column) => this.format === "wide" || !column.isWide);
    this.line(renderTable(columns, items, { width: tableWidth() }));
  }

  /** One thing: its document for programs, its name, or what `human` says of it. */
  show<T extends object>(view: Pick<View<T>, "kind" | "name">, item: T, human: () => string): void {
    if (this.format === "json") this.line(pretty({ schema: `navvy.${view.kind}/1`, ...plain(item) }));
    else if (this.format === "jsonl") this.line(compact(view.kind, item));
    else this.line(this.format === "name" ? view.name(item) : human());
  }

  /** One event of something live: a JSON line for programs (also for `json`, which has no end here), else text. */
  event(kind: string, item: object, human: () => string): void {
    this.line(this.isData ? compact(kind, item) : human());
  }
}

/** A terminal's width; unlimited when nobody sees it, so that nothing is cut off for programs. */
export function tableWidth(): number {
  return process.stdout.columns ?? (Number(process.env.COLUMNS) || Number.POSITIVE_INFINITY);
}

const compact = (kind: string, item: object) => JSON.stringify({ schema: `navvy.${kind}/1`, ...plain(item) }, word);
const pretty = (value: object) => JSON.stringify(value, word, 2);

/** JSON has no number for these: the words are those that tasks report them with. */
function word(_key: string, value: unknown): unknown {
  if (typeof value !== "number" || Number.isFinite(value)) return value;
  return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

/** A message without its wire type: the document has a schema of its own. */
function plain(item: object): object {
  const { type, ...rest } = item as { type?: unknown };
  return typeof type === "string" && type.startsWith("navvy.") ? rest : item;
}
