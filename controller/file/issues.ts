import type { z } from "zod";
import { didYouMean } from "../graph/index.js";
import { PipelineFile } from "./schema.js";

/** Something wrong in a file, by its path there. */
export interface Fault {
  path: (string | number)[];
  message: string;
  fix?: string | undefined;
  /** The key itself is wrong, not what stands behind it. */
  ofKey?: boolean;
}

type Issue = z.core.$ZodIssue;

/** What a file's schema says of it, in words for people. */
export function faultsOf(issues: readonly Issue[], prefix: (string | number)[] = []): Fault[] {
  return issues.flatMap((issue) => {
    const path = [...prefix, ...issue.path.map((key) => (typeof key === "symbol" ? String(key) : key))];
    if (issue.code === "unrecognized_keys") {
      const known = keysAt(PipelineFile, path);
      return issue.keys.map((key) => ({
        path: [...path, key],
        message: `unknown key ${JSON.stringify(key)}${didYouMean(key, known)}`,
        ofKey: true,
      }));
    }
    if (issue.code === "invalid_union") return unionFaults(issue, path);
    return [{ path, message: wordsOf(issue) }];
  });
}

/** Of the forms that a value can have, the one that was meant is the one that went wrong furthest in. */
function unionFaults({ errors }: Extract<Issue, { code: "invalid_union" }>, path: (string | number)[]): Fault[] {
  const isOtherKind = (issues: readonly Issue[]) => issues.every((issue) => issue.path.length === 0 && issue.code === "invalid_type");
  const meant = errors.filter((issues) => !isOtherKind(issues));
  const best = meant.find((issues) => issues.some(({ code }) => code === "unrecognized_keys")) ?? meant[0];
  if (best) return faultsOf(best, path);
  const expected = errors.flatMap((issues) =>
    issues.map((issue) => (issue.code === "invalid_type" ? (KINDS[issue.expected] ?? issue.expected) : "something else")),
  );
  return [{ path, message: `expected ${[...new Set(expected)].join(" or ")}` }];
}

const KINDS: Record<string, string> = {
  string: "a text",
  number: "a number",
  int: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "a map",
  record: "a map",
};

function wordsOf(issue: Issue): string {
  if (issue.code === "invalid_type")
    return `expected ${KINDS[issue.expected] ?? issue.expected}${issue.input === undefined && "input" in issue ? "" : ""}`;
  if (issue.code === "invalid_value") return `expected ${issue.values.map((value) => JSON.stringify(value)).join(" or ")}`;
  return issue.message.replace(/^Too (small|big): /, "");
}

type Def = { innerType?: z.ZodType; options?: z.ZodType[]; shape?: Record<string, z.ZodType>; valueType?: z.ZodType; element?: z.ZodType };

/** Keys that may stand at a path. */
function keysAt(schema: z.ZodType, path: readonly (string | number)[]): string[] {
  const def = schema.def as Def;
  if (def.innerType) return keysAt(def.innerType, path);
  if (def.options) return def.options.flatMap((option) => keysAt(option, path));
  const [key, ...rest] = path;
  if (key === undefined) return Object.keys(def.shape ?? {});
  const next = def.shape?.[String(key)] ?? def.valueType ?? def.element;
  return next ? keysAt(next, rest) : [];
}
