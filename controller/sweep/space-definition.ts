import { z } from "zod";
import { closest, ParameterValue } from "../../protocol/index.js";
import { type Problem, problemsOf } from "../definition/problems.js";
import type { ChoiceDimension, Dimension, NumberDimension, Space } from "./space.js";

const When = z.record(z.string(), z.union([ParameterValue, z.array(ParameterValue)])).optional();

const Range = z
  .strictObject({
    min: z.number("a number is wanted"),
    max: z.number("a number is wanted"),
    /** Each power of ten is as likely as the next. */
    log: z.boolean().default(false),
    integer: z.boolean().default(false),
    step: z.number().positive().optional(),
    when: When,
  })
  .superRefine(({ min, max, log, integer, step }, context) => {
    const wrong = (message: string, path: string) => context.addIssue({ code: "custom", message, path: [path] });
    if (min >= max) wrong(`it must be more than min, which is ${min}`, "max");
    if (log && min <= 0) wrong("on a log scale it must be more than 0", "min");
    if (log && step !== undefined) wrong("steps and a log scale do not go together: use integer, or values", "step");
    if (integer && !(Number.isInteger(min) && Number.isInteger(max) && Number.isInteger(step ?? 1)))
      wrong("min, max and step of an integer are whole numbers", "integer");
  });

const Choice = z.strictObject({ values: z.array(ParameterValue).min(1, "there is no value to choose"), when: When });

const RANGE_KEYS = ["min", "max", "log", "integer", "step", "when"];
const CHOICE_KEYS = ["values", "when"];

/** Parameters as they are written: a range, `{values}`, a list of values, or one value. */
export function parseSpace(parameters: Record<string, unknown>): { space: Space; problems: Problem[] } {
  const dimensions: Dimension[] = [];
  const problems: Problem[] = [];
  for (const [name, written] of Object.entries(parameters)) {
    const path = name.includes("/") ? name : `General/${name}`;
    const found = dimensionOf(path, written);
    if ("problems" in found) problems.push(...found.problems.map((each) => ({ ...each, path: ["parameters", name, ...each.path] })));
    else if (dimensions.some((each) => each.path === path))
      problems.push({ path: ["parameters", name], message: `${path} is there twice` });
    else dimensions.push(found);
  }
  if (problems.length > 0) return { space: dimensions, problems };
  return inOrder(dimensions);
}

function dimensionOf(path: string, written: unknown): Dimension | { problems: Problem[] } {
  if (/^\/|\/$/.test(path)) return { problems: [{ path: [], message: "a parameter is SECTION/NAME" }] };
  const isRange = typeof written === "object" && written !== null && !Array.isArray(written) && !("values" in written);
  if (isRange) return rangeOf(path, written);
  const isChoice = typeof written === "object" && written !== null && !Array.isArray(written);
  const parsed = Choice.safeParse(isChoice ? written : { values: Array.isArray(written) ? written : [written] });
  if (!parsed.success) return { problems: problemsOf(parsed.error, { "": CHOICE_KEYS }) };
  const { values, when } = parsed.data;
  return { kind: "choice", path, values, when: conditionsOf(when) } satisfies ChoiceDimension;
}

function rangeOf(path: string, written: object): NumberDimension | { problems: Problem[] } {
  const parsed = Range.safeParse(written);
  if (!parsed.success) return { problems: problemsOf(parsed.error, { "": RANGE_KEYS }) };
  const { min, max, log, integer, when } = parsed.data;
  const step = parsed.data.step ?? (integer ? 1 : undefined);
  return { kind: "number", path, min, max, isLog: log, step, when: conditionsOf(when) };
}

function conditionsOf(when: z.infer<typeof When>): Dimension["when"] {
  return Object.entries(when ?? {}).map(([name, values]) => ({
    path: name.includes("/") ? name : `General/${name}`,
    values: Array.isArray(values) ? values : [values],
  }));
}

/** Each behind those that its conditions name. */
function inOrder(dimensions: Dimension[]): { space: Space; problems: Problem[] } {
  const ordered: Dimension[] = [];
  let left = dimensions;
  const paths = dimensions.map(({ path }) => path);
  const problems = dimensions.flatMap(({ path, when }) =>
    when.filter((condition) => !paths.includes(condition.path)).map((condition) => unknownParameter(path, condition.path, paths)),
  );
  while (problems.length === 0 && left.length > 0) {
    const ready = left.filter(({ when }) => when.every(({ path }) => ordered.some((each) => each.path === path)));
    if (ready.length === 0)
      problems.push({ path: ["parameters", left[0]?.path ?? "", "when"], message: "these conditions go round in a circle" });
    ordered.push(...ready);
    left = left.filter((each) => !ready.includes(each));
  }
  return { space: ordered, problems };
}

function unknownParameter(path: string, wanted: string, paths: string[]): Problem {
  const meant = closest(wanted, paths);
  return {
    path: ["parameters", path, "when"],
    message: `the sweep has no parameter ${wanted}${meant ? `; did you mean ${meant}?` : ""}`,
  };
}
