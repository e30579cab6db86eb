import { NavvyError } from "../../../protocol/index.js";
import type { Run } from "./state.js";

/** One comparison: `tags."mlflow.runName" = 'x'`, `metrics.loss < 0.5`, `attributes.status != "FAILED"`. */
const COMPARISON =
  /^\s*(?:(attributes?|tags?|params?|parameters?|metrics?)\.)?(?:`([^`]+)`|"([^"]+)"|([\w.]+))\s*(!=|<=|>=|=|<|>)\s*(?:'([^']*)'|"([^"]*)"|(-?[\d.]+(?:e[+-]?\d+)?))/i;

/**
 * What a filter of `runs/search` takes: comparisons joined by AND.
 * @throws NavvyError invalid_argument: one that is not understood is refused, as a wrong answer would be taken for the truth
 */
export function filterOf(filter: string): (run: Run) => boolean {
  const tests: ((run: Run) => boolean)[] = [];
  let rest = filter.trim();
  while (rest !== "") {
    const found = COMPARISON.exec(rest);
    const after = found && /^\s*(?:and\s|$)/i.exec(rest.slice(found[0].length));
    if (!found || !after)
      throw new NavvyError("invalid_argument", `Invalid filter: ${filter.slice(0, 200)}`, { why: "navvy knows comparisons joined by AND" });
    tests.push(testOf(found));
    rest = rest.slice(found[0].length + after[0].length).trim();
  }
  return (run) => tests.every((test) => test(run));
}

function testOf([, kind = "attribute", ...found]: RegExpExecArray): (run: Run) => boolean {
  const key = found[0] ?? found[1] ?? found[2] ?? "";
  const comparator = found[3] ?? "=";
  const wanted = found[4] ?? found[5] ?? found[6] ?? "";
  return (run) => compare(valueOf(run, kind.toLowerCase(), key), comparator, wanted);
}

function valueOf(run: Run, kind: string, key: string): string | number | undefined {
  if (kind.startsWith("tag")) return run.tags.get(key);
  if (kind.startsWith("param")) return run.params.get(key);
  if (kind.startsWith("metric")) return run.metrics.get(key)?.value;
  const { id, name, status, startTime, endTime } = run;
  return { run_id: id, run_name: name, status, start_time: startTime, end_time: endTime, artifact_uri: undefined }[key];
}

function compare(value: string | number | undefined, comparator: string, wanted: string): boolean {
  if (value === undefined) return false;
  if (comparator === "=") return String(value) === wanted || Number(value) === Number(wanted);
  if (comparator === "!=") return String(value) !== wanted;
  const [left, right] = [Number(value), Number(wanted)];
  return { "<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right }[comparator] ?? false;
}
