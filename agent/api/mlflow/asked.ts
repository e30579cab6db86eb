import { readJson } from "../body.js";
import type { Call } from "../call.js";
import type { MlflowState } from "./state.js";

/** A request of an MLflow client: its fields, wherever they stand, and what it is about. */
export interface Asked {
  call: Call;
  state: MlflowState;
  /** Of the query and of the body. */
  fields: Record<string, unknown>;
}

export type MlflowAct = (asked: Asked, names: Record<string, string>) => Promise<object> | object;

/** `body`: there is one that is read as JSON. */
export async function fieldsOf(call: Call): Promise<Record<string, unknown>> {
  const query = Object.fromEntries(call.query);
  return call.method === "GET" ? query : { ...query, ...(await readJson(call)) };
}

/** Pairs of `key` and `value`; what is none is left out. */
export function pairsOf(list: unknown): [string, string][] {
  return (Array.isArray(list) ? list : []).flatMap((one: unknown) => {
    const { key, value } = (one ?? {}) as Record<string, unknown>;
    return typeof key === "string" && key !== "" ? [[key, textOf(value)] as [string, string]] : [];
  });
}

export function textOf(value: unknown): string {
  if (typeof value === "string") return value;
  return value === undefined || value === null ? "" : JSON.stringify(value);
}

/** Whole numbers of 64 bits come as text from some clients. */
export function wholeOf(value: unknown): number | undefined {
  const number = typeof value === "string" && value !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}
