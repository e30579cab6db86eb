import { describe, expect, test } from "vitest";
import * as protocol from "./index.js";

const schemas = protocol.jsonSchemas() as Record<string, { properties: Record<string, unknown>; required: string[] }>;

describe("the JSON Schemas", () => {
  test("there is one for every message", () => {
    const types = Object.values(protocol).flatMap((value) => (value as { shape?: { type?: { value?: string } } }).shape?.type?.value ?? []);
    expect(types.length).toBeGreaterThan(0);
    // A second schema of a message reads a part of it.
    expect(Object.keys(schemas).sort()).toEqual([...new Set(types)].sort());
  });

  test("each says which message it is of", () => {
    for (const [type, schema] of Object.entries(schemas)) expect(schema.properties["type"]).toMatchObject({ type: "string", const: type });
  });

  test("a writer may leave out what has a default, and may add what is not known", () => {
    expect(schemas["navvy.task.v1"]?.required).not.toContain("ticket");
    expect(schemas["navvy.ticket.v1"]).toMatchObject({ required: ["type", "id", "ticket"] });
    expect(schemas["navvy.ticket.v1"]).not.toHaveProperty("additionalProperties");
  });

  test("bytes and figures say what they are", () => {
    expect(schemas["navvy.log.v1"]?.properties["data"]).toEqual({ format: "binary" });
    expect(schemas["navvy.task.v1"]).toHaveProperty("properties.reported.properties.metrics.additionalProperties.properties.last", {
      type: "number",
    });
  });

  test("are plain JSON", () => {
    expect(JSON.parse(JSON.stringify(schemas))).toEqual(schemas);
  });
});
