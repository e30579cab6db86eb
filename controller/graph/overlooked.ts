import { isNavvyError, type ParameterValue } from "../../protocol/index.js";
import { parseExpression, referencesIn } from "../expression/index.js";
import { STEP_FIELDS } from "../expression/node.js";

const LEFT_ALONE = /(?<!\$)\$\{(?![A-Za-z_]\w*[.(])([^{}]*)\}/g;

/** Says where `${…}` is left to the shell by its form although an expression was probably meant: `${steps['a b'].id}`, `${ params.x }`. */
export function overlooked(value: ParameterValue, isStep: (name: string) => boolean, say: (message: string, fix?: string) => void): void {
  if (typeof value === "object" && value !== null) {
    for (const each of Object.values(value) as ParameterValue[]) overlooked(each, isStep, say);
    return;
  }
  if (typeof value !== "string" || !value.includes("${")) return;
  for (const [whole, source] of value.matchAll(LEFT_ALONE)) {
    if (!source || !isMeant(source, isStep)) continue;
    const fix = source
      .trim()
      .replace(/^steps\[(['"])([\w-]+)\1\]/, "steps.$2")
      .replace(/^([A-Za-z_]\w*(?:-\w+)+)(?=\.)/, "steps.$1");
    say(
      `${whole} is left to the shell as it is: what is filled in begins with a name and a dot, or with a function`,
      /^[A-Za-z_]\w*[.(]/.test(fix) ? `\${${fix}}; or $${whole} where it is meant for the shell` : undefined,
    );
  }
}

function isMeant(source: string, isStep: (name: string) => boolean): boolean {
  try {
    return referencesIn(parseExpression(source)).some(({ root, step, path }) => {
      if (root === "steps") return step !== undefined && isStep(step) && STEP_FIELDS.some((field) => path.includes(field));
      return root !== "round" && path.length > 0;
    });
  } catch (error) {
    if (isNavvyError(error)) return false;
    throw error;
  }
}
