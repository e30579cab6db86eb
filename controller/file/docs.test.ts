import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { parseExpression } from "../expression/index.js";
import { readPipelineFile } from "./index.js";
import { FileStep, PipelineFile } from "./schema.js";

const page = readFileSync(new URL("../../docs/pipelines.md", import.meta.url), "utf8");
const blocks = [...page.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, text]) => text!);

test.each(blocks)("docs/pipelines.md: an example is a pipeline: %#", async (text) => {
  expect((await readPipelineFile("docs.yaml", { text })).steps.length).toBeGreaterThan(0);
});

test("docs/pipelines.md: every expression of its tables can be read", () => {
  const rows = page.slice(page.indexOf("## Expressions"), page.indexOf("### In scripts")).matchAll(/^\| (`.*?) \|/gm);
  const cells = [...rows].flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)`/g)].map(([, source]) => source!.replaceAll("\\|", "|")));
  expect(cells.length).toBeGreaterThan(50);
  for (const source of cells) parseExpression(source);
});

test("docs/pipelines.md names every key", () => {
  const named = new Set(
    [...page.matchAll(/^\| (`[^|]*) \|/gm)].flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)`/g)].map(([, key]) => key)),
  );
  const keys = [...Object.keys(PipelineFile.shape), ...Object.keys(FileStep.shape)];
  expect(keys.filter((key) => !named.has(key))).toEqual([]);
});
