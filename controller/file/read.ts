import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { isNavvyError, NavvyError, type ParameterValue } from "../../protocol/index.js";
import { checkGraph, type NewGraph, type Problem } from "../graph/index.js";
import { compile } from "./compile.js";
import { readYaml, type YamlDocument } from "./document.js";
import { type Fault, faultsOf } from "./issues.js";
import { filePathOf } from "./locate.js";
import { type FileCode, PipelineFile } from "./schema.js";

const MAX_BYTES = 4 * 1024 * 1024;

/** Something wrong in a file. */
export interface FileProblem {
  file: string;
  line: number;
  column: number;
  path: string;
  message: string;
  fix?: string | undefined;
}

/** Parts of a `TaskSpec` that bring a step's code along. */
export type CodeParts = Record<string, ParameterValue>;

export interface ReadOptions {
  /** In place of what stands in the file. */
  text?: string;
  /** Where the code of the steps comes from; without it they have none. Asked once for each code, when all else is well. */
  resolveCode?: (code: FileCode, folder: string) => Promise<CodeParts>;
}

/**
 * Reads a pipeline's file, with those that it uses, and checks all that can be checked before it runs.
 * @throws NavvyError not_found; invalid_argument, one for all problems: each with `file:line:column`, and what was probably meant
 */
export async function readPipelineFile(path: string, options: ReadOptions = {}): Promise<NewGraph> {
  const problems: FileProblem[] = [];
  const loaded = await load({ path, text: options.text, above: [], problems });
  if (loaded.compiled) problems.push(...graphProblems(loaded));
  if (problems.length > 0 || !loaded.compiled) throw fileError(path, problems);
  if (options.resolveCode) await addCode(loaded, options.resolveCode, new Map());
  return loaded.compiled.graph;
}

/** One error for all that is wrong in a file and in those that it uses. */
function fileError(path: string, problems: FileProblem[]): NavvyError {
  const different = [...new Map(problems.map((problem) => [problemLine(problem), problem])).values()];
  const ordered = different.toSorted((a, b) => a.file.localeCompare(b.file) || a.line - b.line || a.column - b.column);
  const lines = ordered.map((problem) => `  ${problemLine(problem)}`);
  return new NavvyError(
    "invalid_argument",
    [`${path}: ${ordered.length === 1 ? "1 error" : `${ordered.length} errors`}`, ...lines].join("\n"),
    {
      fix: [...new Set(ordered.flatMap(({ fix }) => fix ?? []))].slice(0, 5),
      detail: { problems: ordered },
    },
  );
}

/** `train.yaml:6:5  steps.prep.gpu: unknown key "gpu", did you mean "gpus"?` */
export function problemLine({ file, line, column, path, message }: FileProblem): string {
  return `${file}:${line}:${column}  ${path === "" ? "" : `${path}: `}${message}`;
}

interface Loading {
  path: string;
  text?: string | undefined;
  /** Files that use this one, full paths. */
  above: string[];
  problems: FileProblem[];
}

/** A file that was read, as far as that went. */
interface Loaded {
  path: string;
  document: YamlDocument;
  compiled?: ReturnType<typeof compile> | undefined;
  /** By the step that uses it. */
  children: Map<string, Loaded>;
}

async function load(loading: Loading): Promise<Loaded> {
  const { path, above, problems } = loading;
  const document = readYaml(loading.text ?? (await textOf(path)));
  const loaded: Loaded = { path, document, children: new Map() };
  for (const { position, message } of document.errors) problems.push({ file: path, ...position, path: "", message });
  if (document.errors.length > 0) return loaded;
  const fault = (found: Fault) => problems.push(located(loaded, found));
  const read = PipelineFile.safeParse(document.value);
  if (!read.success) {
    for (const each of faultsOf(read.error.issues)) fault(each);
    return loaded;
  }
  for (const list of ["steps", "finally"] as const)
    for (const [name, { uses }] of Object.entries(read.data[list] ?? {})) {
      if (uses === undefined) continue;
      const child = await loadUsed({ uses, path, above, problems }, (message) => fault({ path: [list, name, "uses"], message }));
      if (child) loaded.children.set(name, child);
    }
  const pipelines = new Map(
    [...loaded.children].flatMap(([name, child]) => (child.compiled ? [[name, child.compiled.graph] as const] : [])),
  );
  const placeOf = (at: (string | number)[]) => Object.values(document.positionOf(at, true)).join(":");
  loaded.compiled = compile(read.data, { pipelines, placeOf, fault });
  return loaded;
}

async function loadUsed(
  { uses, path, above, problems }: { uses: string } & Loading,
  wrong: (message: string) => void,
): Promise<Loaded | undefined> {
  const used = resolve(dirname(path), uses);
  const stack = [...above, resolve(path)];
  if (stack.includes(used)) {
    wrong(
      `files use each other in a round: ${[...stack.slice(stack.indexOf(used)), used].map((each) => relativeTo(path, each)).join(" → ")}`,
    );
    return undefined;
  }
  try {
    return await load({ path: relativeTo(path, used), above: stack, problems });
  } catch (error) {
    if (!isNavvyError(error, "not_found")) throw error;
    wrong(error.message);
    return undefined;
  }
}

/** As the first file was named: `flows/nightly.yaml` uses `flows/deploy.yaml`. */
function relativeTo(path: string, used: string): string {
  const folder = resolve(dirname(path));
  const base = dirname(path);
  return used.startsWith(`${folder}/`)
    ? `${base === "." && !path.startsWith("./") ? "" : `${base}/`}${used.slice(folder.length + 1)}`
    : used;
}

async function textOf(path: string): Promise<string> {
  try {
    const bytes = await readFile(path);
    if (bytes.length > MAX_BYTES) throw new NavvyError("too_large", `${path} has ${bytes.length} bytes, and the most is ${MAX_BYTES}`);
    return bytes.toString("utf8");
  } catch (cause) {
    if (isNavvyError(cause)) throw cause;
    throw new NavvyError("not_found", `there is no file ${path} that can be read`, {
      cause,
      why: (cause as Error).message,
      fix: "navvy pipeline init",
    });
  }
}

function located({ path: file, document }: Loaded, { path: given, message, fix, ofKey }: Fault): FileProblem {
  const path = ofKey ? given : filePathOf(given.map(String), (each) => document.has(each));
  return { file, ...document.positionOf(path, ofKey), path: path.join("."), message, ...(fix === undefined ? {} : { fix }) };
}

/** What the check of the graph says, where that stands in the files. */
function graphProblems(loaded: Loaded): FileProblem[] {
  try {
    checkGraph(loaded.compiled!.graph);
    return [];
  } catch (error) {
    if (!isNavvyError(error, "invalid_argument")) throw error;
    return (error.detail["problems"] as Problem[]).map((problem) => inFile(loaded, problem));
  }
}

function inFile(loaded: Loaded, { at, message, fix }: Problem): FileProblem {
  const [, step, part, ...rest] = at;
  const child = part === "pipeline" && step !== undefined ? loaded.children.get(step) : undefined;
  if (child) return inFile(child, { path: "", at: rest, message, fix });
  const path = filePathOf(at, (each) => loaded.document.has(each));
  const ofKey = path.length <= 2 && (path[0] === "steps" || path[0] === "finally");
  return located(loaded, { path, message, fix, ofKey });
}

type Resolve = NonNullable<ReadOptions["resolveCode"]>;

async function addCode({ path, compiled, children }: Loaded, resolveCode: Resolve, known: Map<string, Promise<CodeParts>>): Promise<void> {
  const folder = dirname(resolve(path));
  const { graph, codes } = compiled!;
  for (const step of [...graph.steps, ...(graph.finally ?? [])]) {
    const code = codes.get(step.name);
    if (!code || step.action.kind !== "task") continue;
    const key = JSON.stringify([folder, code]);
    const parts = known.get(key) ?? resolveCode(code, folder);
    known.set(key, parts);
    step.action.spec = { ...(await parts), ...step.action.spec };
  }
  for (const child of children.values()) await addCode(child, resolveCode, known);
}
