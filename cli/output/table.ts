import { stripVTControlCharacters } from "node:util";
import CliTable from "cli-table3";

export interface Column<T> {
  title: string;
  value: (item: T) => string;
  /** Shown by `-o wide` only. */
  isWide?: boolean;
  /** Gives way first when the terminal is too narrow. */
  isFlexible?: boolean;
  align?: "left" | "right";
}

const GAP = 2;
const NARROWEST = 8;
const BORDERLESS = Object.fromEntries(
  [
    "top",
    "top-mid",
    "top-left",
    "top-right",
    "bottom",
    "bottom-mid",
    "bottom-left",
    "bottom-right",
    "left",
    "left-mid",
    "mid",
    "mid-mid",
    "right",
    "right-mid",
    "middle",
  ].map((side) => [side, ""]),
);

/** A table without borders that fits `width` columns: flexible columns are cut with an ellipsis first. */
export function renderTable<T>(columns: Column<T>[], items: T[], options: { width: number }): string {
  const rows = items.map((item) => columns.map((column) => column.value(item)));
  const titles = columns.map((column) => column.title);
  const widths = fit(columns, [titles, ...rows], options.width);
  const table = new CliTable({
    chars: BORDERLESS as unknown as CliTable.TableConstructorOptions["chars"],
    style: { "padding-left": 0, "padding-right": GAP, head: [], border: [], compact: true },
    colWidths: widths,
    colAligns: columns.map((column) => column.align ?? "left"),
  });
  table.push(titles, ...rows);
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

/** Column widths with their gap. */
function fit<T>(columns: Column<T>[], rows: string[][], width: number): number[] {
  const widths = columns.map((_, i) => Math.max(...rows.map((row) => displayWidth(row[i] ?? ""))) + GAP);
  let excess = widths.reduce((sum, each) => sum + each, 0) - GAP - width;
  while (excess > 0) {
    const widest = widestOf(columns, widths);
    if (widest === undefined) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    excess--;
  }
  return widths;
}

function widestOf<T>(columns: Column<T>[], widths: number[]): number | undefined {
  const candidates = columns.flatMap((column, i) => (column.isFlexible && (widths[i] ?? 0) > NARROWEST ? [i] : []));
  return candidates.sort((a, b) => (widths[b] ?? 0) - (widths[a] ?? 0))[0];
}

/** Good enough for what navvy prints: no wide characters beyond what tasks are named. */
export function displayWidth(text: string): number {
  return Array.from(stripVTControlCharacters(text)).length;
}
