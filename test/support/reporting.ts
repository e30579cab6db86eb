import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tempFolder } from "./folder.js";

/** What an agent sets for a task that reports, in a folder of the test's own. */
export interface Reporting extends AsyncDisposable {
  env: Record<string, string>;
  at(name: string): string;
  /** What was reported, line by line. */
  events(): Promise<Record<string, unknown>[]>;
}

export async function reporting(params: object = {}): Promise<Reporting> {
  const folder = await tempFolder();
  const at = (name: string) => join(folder.path, name);
  await Promise.all([mkdir(at("inputs")), mkdir(at("artifacts")), writeFile(at("params.json"), JSON.stringify(params))]);
  const env = {
    NAVVY_TASK_ID: "01JD",
    NAVVY_ATTEMPT: "3",
    NAVVY_DIR: folder.path,
    NAVVY_EVENTS: at("events.jsonl"),
    NAVVY_SUMMARY: at("summary.md"),
    NAVVY_PARAMS: at("params.json"),
    NAVVY_INPUTS: at("inputs"),
    NAVVY_ARTIFACTS: at("artifacts"),
  };
  const events = async () => {
    const text = await readFile(env.NAVVY_EVENTS, "utf8").catch(() => ""); // nothing was reported
    return text
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  return { env, at, events, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}
