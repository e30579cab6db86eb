import type { z } from "zod";
import { type ParameterValue, TaskSpec } from "../../protocol/index.js";
import { didYouMean, type Report } from "./problems.js";

const PARTS = TaskSpec.partial();

/** Whether parts of a task's specification are such, as far as they are no templates. `isWhole`: nothing else fills its maps. */
export function checkSpec(spec: Record<string, ParameterValue>, { isWhole, report }: { isWhole: boolean; report: Report }): void {
  checkKeys(TaskSpec, spec, (at, message) => report(at, message));
  const read = PARTS.safeParse(spec);
  if (read.success) return;
  for (const issue of read.error.issues) {
    const at = issue.path.map(String);
    const value = valueAt(spec, at);
    if (isTemplate(value) || (value === undefined && !isWhole)) continue;
    report(at, value === undefined ? "it is missing" : issue.message);
  }
}

const isTemplate = (value: unknown) => typeof value === "string" && value.includes("${");

/** Of a text that is filled in nothing below is known. */
function valueAt(of: ParameterValue, [key, ...rest]: string[]): ParameterValue | undefined {
  if (key === undefined || isTemplate(of)) return of;
  if (typeof of !== "object" || of === null) return undefined;
  const value = (of as Record<string, ParameterValue>)[key];
  return value === undefined ? undefined : valueAt(value, rest);
}

/** Keys that no schema knows, in the maps that have fixed ones. */
function checkKeys(schema: z.ZodType, value: ParameterValue, report: Report): void {
  const shape = shapeOf(schema);
  if (!shape || typeof value !== "object" || value === null || Array.isArray(value)) return;
  for (const [key, each] of Object.entries(value)) {
    const known = Object.hasOwn(shape, key) ? shape[key] : undefined;
    if (known) checkKeys(known, each, (at, message) => report([key, ...at], message));
    else report([key], `a task has no ${JSON.stringify(key)}${didYouMean(key, Object.keys(shape))}`);
  }
}

function shapeOf(schema: z.ZodType): Record<string, z.ZodType> | undefined {
  const { def } = schema as z.ZodType & { def: { innerType?: z.ZodType; shape?: Record<string, z.ZodType> } };
  return def.innerType ? shapeOf(def.innerType) : def.shape;
}
