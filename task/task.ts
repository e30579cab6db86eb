import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, extname, isAbsolute, join, resolve, sep } from "node:path";
import { type AbortListener, AbortListeners } from "./abort.js";
import { EventFile } from "./event-file.js";
import { binned, type Histogram } from "./histogram.js";

export type { AbortListener } from "./abort.js";
export type { Histogram } from "./histogram.js";

/** Anything that JSON can say. */
export type Value = string | number | boolean | null | Value[] | { [key: string]: Value };
/** How loud a note is. */
export type NoteLevel = "info" | "warn" | "error";

/** Larger media lie in a file among the artifacts, for lines have an end. */
const MAX_INLINE_BYTES = 512 * 1024;
const MIME: Record<string, string> = {
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".gif": "image/gif",
  ".webp": "image/webp",
  ".svg": "image/svg+xml",
};

type Environment = Record<string, string | undefined>;

/** The task of this process as an environment describes it; default: the real one. Never throws. */
export function openTask(env: Environment = process.env): CurrentTask {
  return new CurrentTask(env);
}

/**
 * The running task: its parameters and inputs, and where its reports go. One line per report, appended with one write, so
 * several processes of a task may report at once.
 */
export class CurrentTask {
  readonly #env: Environment;
  readonly #events: EventFile;
  readonly #aborts = new AbortListeners();
  readonly #steps = new Map<string, number>();
  readonly #warned = new Set<string>();

  constructor(env: Environment) {
    this.#env = env;
    this.#events = new EventFile(env["NAVVY_EVENTS"]);
  }

  /** Whether an agent started this process. */
  get isInside(): boolean {
    return this.id !== undefined;
  }

  /** The task's id; undefined outside navvy. */
  get id(): string | undefined {
    return this.#env["NAVVY_TASK_ID"] || undefined;
  }

  /** Which try this is, from 1; 0 outside navvy. */
  get attempt(): number {
    return Number(this.#env["NAVVY_ATTEMPT"] ?? 0);
  }

  /** Whether the agent that started it can start it again when it parks. */
  get canPark(): boolean {
    return this.isInside && this.#env["NAVVY_CAN_PARK"] === "1";
  }

  /** One section of the parameters; `{}` when there is none. */
  params<T extends object = Record<string, Value>>(section = "General"): T {
    return (this.#parameters()[section] ?? {}) as T;
  }

  /** One parameter by `Section/name` (a bare name is in General), or the default when it is not set. */
  param<T extends Value>(path: string, otherwise: T): T {
    const slash = path.indexOf("/");
    const [section, name] = slash < 0 ? ["General", path] : [path.slice(0, slash), path.slice(slash + 1)];
    const value = this.params(section)[name];
    return value === undefined ? otherwise : (value as T);
  }

  /** One point of a metric. Without `step` the points of a key are counted from 0. */
  scalar(key: string, value: number, options: { step?: number } = {}): void {
    this.#send({ t: "scalar", k: key, v: numberForJson(value), step: this.#step(key, options.step) });
  }

  /** Points of several metrics at the same step. */
  scalars(values: Record<string, number>, options: { step?: number } = {}): void {
    const steps = Object.keys(values).map((key) => this.#step(key, options.step));
    const kv = Object.fromEntries(Object.entries(values).map(([key, value]) => [key, numberForJson(value)]));
    this.#send({ t: "scalars", kv, step: Math.max(0, ...steps) });
  }

  /** How far it is: `progress(3, 10, "epoch")`. */
  progress(n: number, of?: number, unit?: string): void {
    this.#send({ t: "progress", n, of, unit });
  }

  /** A result by name, for people and controllers; the last one of a name counts. */
  output(key: string, value: Value): void {
    this.#send({ t: "output", k: key, v: value });
  }

  /** A sentence on the task's page. */
  note(level: NoteLevel, text: string): void {
    this.#send({ t: "note", level, text });
  }

  /** How values are spread: numbers, or counts and the edges between them. */
  histogram(name: string, values: Iterable<number> | Histogram, options: { step?: number } = {}): void {
    const { edges, counts } = "edges" in values ? values : binned(values);
    this.#send({ t: "histogram", name, edges, counts, step: options.step });
  }

  /** Rows below column names, the first 1,000. */
  table(name: string, { columns, rows, step }: { columns: string[]; rows: Value[][]; step?: number }): void {
    this.#send({ t: "table", name, columns, rows: rows.slice(0, 1_000), step });
  }

  /** A chart: a Vega-Lite or Plotly specification, or `{x, y, kind}` with as many x as y and a kind of line, bar or scatter. */
  plot(name: string, spec: { [key: string]: Value }, options: { step?: number } = {}): void {
    this.#send({ t: "plot", name, spec, step: options.step });
  }

  /** A picture: the path of a file, or its encoded bytes (PNG, unless `mime` says otherwise). @throws Error: there is no such file */
  async image(name: string, content: string | Uint8Array, options: { step?: number; caption?: string; mime?: string } = {}): Promise<void> {
    const folder = this.#env["NAVVY_ARTIFACTS"];
    if (folder === undefined) return this.#warn();
    const bytes = typeof content === "string" ? await readFile(content) : content;
    const known = typeof content === "string" ? MIME[extname(content).toLowerCase()] : undefined;
    const line = { t: "media", name, kind: "image", mime: known ?? "image/png", ...options };
    if (bytes.length <= MAX_INLINE_BYTES) return this.#send({ ...line, data: Buffer.from(bytes).toString("base64") });
    const path = inside(folder, `media/${name}-${options.step ?? Date.now()}.${line.mime.split("/")[1] ?? "bin"}`);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
    this.#send({ ...line, path });
  }

  /** A text to be read beside the metrics. */
  text(name: string, text: string, options: { step?: number } = {}): void {
    this.#send({ t: "media", name, kind: "text", text, step: options.step });
  }

  /** Adds Markdown to the task's page, or replaces what was there. */
  summary(markdown: string, options: { replace?: boolean } = {}): void {
    const path = this.#env["NAVVY_SUMMARY"];
    if (path === undefined) return this.#warn();
    const write = options.replace ? writeFileSync : appendFileSync;
    this.#try(() => write(path, `${markdown.replace(/\n+$/, "")}\n\n`));
  }

  /** Puts what another task left among this one's artifacts, by its reference: nothing is copied. */
  link(name: string, ref: { sha256: string; sizeBytes: number; [key: string]: Value | undefined }): void {
    this.#send({ t: "link", name, ref });
  }

  /**
   * Puts a file, a folder or bytes among the task's artifacts; a file is uploaded at once, a folder when the task ends.
   * `kind`: model, data, image, table, or a word of your own.
   * @returns where it lies, undefined outside navvy
   * @throws Error when the name leaves the artifacts' folder, or the file does not exist
   */
  async artifact(name: string, content: string | Uint8Array, options: { kind?: string } = {}): Promise<string | undefined> {
    const folder = this.#env["NAVVY_ARTIFACTS"];
    if (folder === undefined) {
      this.#warn();
      return undefined;
    }
    const target = inside(folder, name);
    await mkdir(dirname(target), { recursive: true });
    const isFolder = typeof content === "string" ? await copy(resolve(content), target) : await writeFile(target, content);
    if (!isFolder) this.#send({ t: "artifact", name, path: target, kind: options.kind });
    return target;
  }

  /**
   * Where an input lies that was fetched before the start. Outside navvy: the name as a path, so a program runs by hand.
   * @throws Error when the task was given no such input
   */
  input(name: string): string {
    const folder = this.#env["NAVVY_INPUTS"];
    if (folder === undefined) {
      this.#warn();
      return resolve(name);
    }
    const path = inside(folder, name);
    if (existsSync(path)) return path;
    const names = existsSync(folder) ? readdirSync(folder).join(", ") : "";
    throw new Error(`the task has no input ${JSON.stringify(name)}; it has: ${names || "none"}`);
  }

  /**
   * Calls back when the task is to end (SIGTERM), then the process exits with 143: the place to save a checkpoint, within
   * the task's grace. A callback that throws ends the process with its error.
   * @returns how to take the callback away again
   */
  onAbort(listener: AbortListener): () => void {
    if (this.isInside) return this.#aborts.add(listener);
    this.#warn();
    return () => {};
  }

  /**
   * When this process exits with 0, its task is not done but waits without a process: until one of the tasks has ended (`all`: every one
   * of them), until a time, or until someone wakes it (`keys`). Then the program is started again from its top.
   */
  park(wish: { on?: string[]; all?: boolean; until?: string; keys?: boolean; tidies?: boolean }): void {
    this.#send({ t: "park", ...wish });
  }

  /** What becomes of the open children of this task, should it end as aborted: by itself they are left. */
  childrenOnAbort(what: "leave" | "abort"): void {
    this.#send({ t: "children", onAbort: what });
  }

  #parameters(): Record<string, Record<string, Value>> {
    const file = this.#env["NAVVY_PARAMS"];
    if (file !== undefined) return JSON.parse(readFileSync(file, "utf8")) as Record<string, Record<string, Value>>;
    this.#warn();
    return {};
  }

  #step(key: string, given?: number): number {
    const step = given ?? this.#steps.get(key) ?? 0;
    this.#steps.set(key, step + 1);
    return step;
  }

  #send(event: object): void {
    this.#try(() => {
      if (!this.#events.append(event)) this.#warn();
    });
  }

  /** A full disk is no reason for a program to end. */
  #try(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#warn(`a report could not be written: ${(error as Error).message}`);
    }
  }

  /** Once. */
  #warn(text = "this process was not started by navvy, so its reports go nowhere"): void {
    if (this.#warned.has(text)) return;
    this.#warned.add(text);
    process.stderr.write(`navvy/task: ${text}\n`);
  }
}

/** JSON has no word for these. */
function numberForJson(value: number): number | string {
  if (Number.isNaN(value)) return "nan";
  return Number.isFinite(value) ? value : value > 0 ? "inf" : "-inf";
}

/** A name may hold folders, but never leave its own. */
function inside(folder: string, name: string): string {
  const path = join(folder, name);
  if (name !== "" && !isAbsolute(name) && path.startsWith(folder.endsWith(sep) ? folder : folder + sep)) return path;
  throw new Error(`${JSON.stringify(name)} is not a name inside ${folder}`);
}

/** True when it was a folder. */
async function copy(from: string, to: string): Promise<boolean> {
  if (from !== to) await cp(from, to, { recursive: true });
  try {
    readdirSync(to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return false;
    throw error;
  }
}
