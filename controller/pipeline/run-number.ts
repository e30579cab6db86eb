import { createHash } from "node:crypto";
import type { Navvy } from "../../broker/index.js";
import { patiently } from "../patience.js";

/** The number of a new run of a pipeline, from 1: no two runs have the same, and one that died before it noted its own leaves a gap. */
export function runNumber(navvy: Navvy, { project, name }: { project: string; name: string }): Promise<number> {
  const key = createHash("sha256").update(`${project}\0${name}`).digest("hex").slice(0, 32);
  const journal = navvy.journals.of("pipelines");
  return patiently(async () => Number(await journal.change(key, (value) => Number(value ?? 0) + 1)));
}
