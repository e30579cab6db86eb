import { NavvyError } from "../../protocol/index.js";
import { task, type Value } from "../../task/index.js";
import type { FunctionStepOptions } from "./graph-of.js";
import { FUNCTION_VARIABLE, jsonOf } from "./program.js";

/** A value whose JSON is this short is an output too, which conditions and parameters can use. */
const MAX_OUTPUT_CHARACTERS = 4_096;

/** The function step that this process was started for; undefined: it is the controller, or a program by hand. */
export function functionAsked(): string | undefined {
  return process.env[FUNCTION_VARIABLE] || undefined;
}

/**
 * Runs one function of the program as the task that this process is.
 * @throws NavvyError invalid_argument: the program has no such step, or what it returned can not be handed on
 */
export async function runFunction(name: string, steps: ReadonlyMap<string, FunctionStepOptions>): Promise<void> {
  const step = steps.get(name);
  if (!step) {
    throw new NavvyError("invalid_argument", `this program has no function step ${name}`, {
      why: `it has: ${[...steps.keys()].join(", ") || "none"}`,
      fix: "define the same steps in every process of the program: before start(), and not depending on where it runs",
    });
  }
  const run = step.function as (args: Record<string, Value>) => unknown;
  const returned = await run(task.params("Function"));
  const returns = step.returns ?? [];
  if (returns.length > 0) await hand(name, returns, returned);
}

async function hand(step: string, names: string[], returned: unknown): Promise<void> {
  const values = isMap(returned) ? returned : {};
  const missing = names.filter((name) => values[name] === undefined);
  if (missing.length > 0) {
    throw new NavvyError("invalid_argument", `function step ${step} did not return ${missing.join(", ")}`, {
      why: isMap(returned)
        ? `it returned: ${Object.keys(returned).join(", ") || "nothing"}`
        : `it returned no map of results: ${typeof returned}`,
      fix: `return { ${names.join(", ")} }`,
    });
  }
  for (const name of names) {
    const value = values[name];
    if (value instanceof Uint8Array) {
      await task.artifact(name, value);
      continue;
    }
    const text = jsonOf(`${name}, returned by function step ${step},`, value);
    await task.artifact(name, new TextEncoder().encode(text));
    if (text.length <= MAX_OUTPUT_CHARACTERS) task.output(name, value as Value);
  }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}
