import fc from "fast-check";
import { expect, test } from "vitest";
import { type Column, displayWidth, renderTable } from "./table.js";

const COLUMNS: Column<{ id: string; name: string }>[] = [
  { title: "ID", value: (item) => item.id },
  { title: "NAME", value: (item) => item.name, isFlexible: true },
];

test("a table has no borders and no blanks at line ends", () => {
  expect(renderTable(COLUMNS, [{ id: "9F3K", name: "train" }], { width: 80 })).toBe("ID    NAME\n9F3K  train");
});

test("flexible columns give way, so that no line is wider than the terminal", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ id: fc.constant("9F3K2Q"), name: fc.integer({ min: 0, max: 120 }).map((n) => "x".repeat(n)) }), {
        minLength: 1,
        maxLength: 5,
      }),
      (items) => {
        const lines = renderTable(COLUMNS, items, { width: 40 }).split("\n");
        for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(40);
        expect(lines).toHaveLength(items.length + 1);
      },
    ),
  );
});

test("nothing is cut where the width is unlimited", () => {
  const name = "x".repeat(300);
  expect(renderTable(COLUMNS, [{ id: "1", name }], { width: Number.POSITIVE_INFINITY })).toContain(name);
});
