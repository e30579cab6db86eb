import { Packr } from "msgpackr";
import type { z } from "zod";
import { NavvyError } from "./errors.js";

/**
 * MessagePack with plain maps (no records extension), so any language's library reads it. Every message carries
 * `type: "navvy.<noun>.v<major>"`. Strict out, tolerant in: unknown fields are dropped, never an error.
 */
const packr = new Packr({ useRecords: false, int64AsType: "number", skipValues: [undefined] } as object);

export function encode(message: object): Uint8Array {
  return packr.pack(message);
}

/**
 * @throws NavvyError unreadable (not MessagePack, or not this message), newer_version (a later major of it)
 */
export function decode<S extends z.ZodType>(schema: S, bytes: Uint8Array, what: string): z.infer<S> {
  const value = unpack(bytes, what);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw refusal(schema, value, { what, issue: parsed.error.issues[0] });
}

/** The plain value of a message of any kind; for watching and for setting unreadable messages aside. */
export function unpack(bytes: Uint8Array, what: string): unknown {
  try {
    return packr.unpack(bytes);
  } catch (cause) {
    throw new NavvyError("unreadable", `${what}: ${bytes.length} bytes that are not MessagePack`, { cause });
  }
}

interface Found {
  what: string;
  issue: { path: PropertyKey[]; message: string } | undefined;
}

function refusal(schema: z.ZodType, value: unknown, { what, issue }: Found): NavvyError {
  const got = typeOf(value);
  const want = wantedType(schema);
  if (got !== undefined && want !== undefined && major(got) > major(want) && noun(got) === noun(want)) {
    return new NavvyError("newer_version", `${what} was written by a newer navvy (${got}); this one reads ${want}`, {
      fix: "upgrade navvy on this machine",
    });
  }
  const place = issue?.path.length ? ` at ${issue.path.map(String).join(".")}` : "";
  return new NavvyError("unreadable", `${what} is not a ${want ?? "message of ours"}${place}: ${issue?.message ?? "wrong shape"}`, {
    detail: { got },
  });
}

function typeOf(value: unknown): string | undefined {
  const type = typeof value === "object" && value !== null ? (value as { type?: unknown }).type : undefined;
  return typeof type === "string" && type.startsWith("navvy.") ? type : undefined;
}
function wantedType(schema: z.ZodType): string | undefined {
  const shape = (schema as { shape?: { type?: { value?: unknown } } }).shape;
  return typeof shape?.type?.value === "string" ? shape.type.value : undefined;
}
const major = (type: string) => Number(/\.v(\d+)$/.exec(type)?.[1] ?? 0);
const noun = (type: string) => type.replace(/\.v\d+$/, "");
