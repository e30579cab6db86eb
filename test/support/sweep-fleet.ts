import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import type { TaskRecord } from "../../protocol/index.js";
import { type Client, client } from "./agent.js";
import { tempFolder } from "./folder.js";
import { startNats } from "./nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
/** The command line, as people call it. */
export const navvy = (server: { url: string }, ...args: string[]) =>
  execa(process.execPath, [MAIN, ...args], { env: { NAVVY_SERVER: server.url, NO_COLOR: "1" }, reject: false, timeout: 100_000 });

/** A server, a folder that the trials write to, and a template that is one line of shell. */
export async function sweepFleet() {
  const folder = await tempFolder();
  const nats = await startNats();
  const c = await client(nats);
  const at = (name: string) => join(folder.path, name);
  /** Every trial leaves a line in `started`; `value` reports its parameter as the metric. */
  const template = (script: string, x: number | null = 0) =>
    c.navvy.tasks.create({
      name: "template",
      project: "search",
      parameters: { "General/x": x },
      spec: { command: ["sh", "-c", `cd '${folder.path}'; echo "$NAVVY_TASK_ID" >> started; ${script}`], graceMs: 2_000 },
    });
  const started = async () => (await readFile(at("started"), "utf8").catch(() => "")).split("\n").filter(Boolean);
  const close = async () => {
    await c[Symbol.asyncDispose]();
    await nats.stop();
    await folder[Symbol.asyncDispose]();
  };
  return { nats, c, at, template, started, [Symbol.asyncDispose]: close };
}

/** Shell that reports the parameter x as the metric. */
export const value = (step: number | string) => `echo '{"t":"scalar","k":"acc","v":'$NAVVY_PARAM_X',"step":'${step}'}' >> "$NAVVY_EVENTS";`;

/** Flags of a sweep over x. */
export const SWEEP = ["--template", "search/template", "--metric", "acc", "--goal", "max"];

/** By number. */
export async function trialsOf(c: Client, sweep: string): Promise<TaskRecord[]> {
  return (await c.list({ parent: sweep })).sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
}
