import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { z } from "zod";
import * as protocol from "./index.js";

/** Every schema of a message that `protocol/` exports, by its type; of several the one with the most fields is the whole of it. */
const schemas = new Map(
  Object.values(protocol)
    .flatMap((value) => {
      const { shape } = value as { shape?: { type?: { value?: unknown } } };
      const type = shape?.type?.value;
      return typeof type === "string" ? [{ type, fields: Object.keys(shape ?? {}).length, schema: value as unknown as z.ZodType }] : [];
    })
    .sort((a, b) => a.fields - b.fields)
    .map(({ type, schema }) => [type, schema] as const),
);

const folder = new URL("./golden/", import.meta.url);
const names = readdirSync(folder).flatMap((name) => (name.endsWith(".msgpack") ? [name.slice(0, -".msgpack".length)] : []));
const bytesOf = (name: string) => readFileSync(new URL(`${name}.msgpack`, folder));
const jsonOf = (name: string) => JSON.parse(readFileSync(new URL(`${name}.json`, folder), "utf8")) as { type: string };

describe("golden messages", () => {
  test.each(names)("%s decodes with today's schema to what its JSON says", (name) => {
    const json = jsonOf(name);
    const schema = schemas.get(json.type);
    if (!schema) throw new Error(`no schema reads ${json.type}`);
    // A field that came later may be there with its default; nothing that was there may be gone.
    expect(readable(protocol.decode(schema, bytesOf(name), name))).toMatchObject(json);
  });

  test("every message has one", () => {
    expect(schemas.size).toBeGreaterThan(0);
    expect([...new Set(names.map((name) => jsonOf(name).type))].sort()).toEqual([...schemas.keys()].sort());
  });
});

/** As scripts/golden.mjs writes what JSON has no word for. */
function readable(value: unknown): unknown {
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString("base64") };
  if (typeof value === "number") return Number.isFinite(value) ? value : { number: String(value) };
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, readable(each)]));
}
