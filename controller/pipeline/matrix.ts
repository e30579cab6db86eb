import { NavvyError, type ParameterValue } from "../../protocol/index.js";
import { MAX_MATRIX } from "../graph/graph.js";

/**
 * Every combination of a matrix, the last axis fastest.
 * @throws NavvyError invalid_argument: an axis is no list, or there are too many
 */
export function combinations(step: string, axes: Record<string, ParameterValue>): Record<string, ParameterValue>[] {
  let all: Record<string, ParameterValue>[] = [{}];
  for (const [name, values] of Object.entries(axes)) {
    if (!Array.isArray(values)) {
      throw new NavvyError("invalid_argument", `matrix ${name} of step ${step} is no list: ${JSON.stringify(values)}`, {
        fix: `${name}: [1, 2, 3], or an expression that gives a list`,
      });
    }
    if (all.length * values.length > MAX_MATRIX) {
      throw new NavvyError("invalid_argument", `the matrix of step ${step} has more than ${MAX_MATRIX} combinations`, {
        fix: "make it smaller, or use a sweep, which chooses among them: navvy sweep",
      });
    }
    all = all.flatMap((one) => values.map((value) => ({ ...one, [name]: value })));
  }
  return all;
}
