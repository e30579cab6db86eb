import type { Reported } from "../../../protocol/index.js";

type Outputs = Reported["outputs"];

/** What the outputs of an attempt may take in the record, as JSON. */
const MAX_OUTPUT_BYTES = 16 * 1024;

/** Outputs with more of them; or, when that is more than a record takes, what is wrong with it. */
export function withOutputs(outputs: Outputs, more: Outputs): { outputs: Outputs } | { problem: string } {
  const merged = { ...outputs, ...more };
  const bytes = Buffer.byteLength(JSON.stringify(merged));
  if (bytes <= MAX_OUTPUT_BYTES) return { outputs: merged };
  const names = Object.keys(more).map((name) => name.slice(0, 60));
  return {
    problem: `${names.slice(0, 3).join(", ")}${names.length > 3 ? ` and ${names.length - 3} more` : ""} not taken: with ${
      names.length > 1 ? "them" : "it"
    } the outputs are ${bytes} bytes, over the limit of ${MAX_OUTPUT_BYTES}; leave large values as artifacts`,
  };
}
