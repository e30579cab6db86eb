import { readFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";

/** What a requirements file points to beside itself, as absolute paths. */
export interface Pointed {
  /** Other requirements files, constraints, folders of wheels, packages that lie in the code: their content decides too. */
  paths: string[];
  /** A package is used where it lies, so it must go on lying there. */
  isEditable: boolean;
}

const INCLUDE = /^(?:-r|--requirement|-c|--constraint)(?:\s*=?\s*)(\S.*)$/;
const LINKS = /^(?:-f|--find-links)(?:\s*=?\s*)(\S.*)$/;
const EDITABLE = /^(?:-e|--editable)(?:\s*=?\s*)(\S.*)$/;
/** A path of this machine: `./pkg`, `/opt/pkg`, `file:…`, `name @ file:…`, `wheels/x.whl`. */
const LOCAL = /^(?:\.{0,2}\/|\.\.?(?:\[|$|\s)|file:|[\w.-]+\s*@\s*file:|[\w.-]+(?:\/[\w.+-]+)+(?:\[|$|\s|;))/;

/** Follows a requirements file through all that it names. What can not be read is left to who installs: it says so better. */
export async function pointedBy(file: string, seen = new Set<string>()): Promise<Pointed> {
  if (seen.has(file)) return { paths: [], isEditable: false };
  seen.add(file);
  const text = await readFile(file, "utf8").catch(() => "");
  const found: Pointed = { paths: [], isEditable: false };
  for (const line of linesOf(text)) {
    const path = pathIn(line, dirname(file));
    if (path === undefined) continue;
    found.paths.push(path);
    found.isEditable ||= EDITABLE.test(line);
    if (!INCLUDE.test(line)) continue;
    const below = await pointedBy(path, seen);
    found.paths.push(...below.paths);
    found.isEditable ||= below.isEditable;
  }
  return found;
}

function linesOf(text: string): string[] {
  const joined = text.replace(/\\\r?\n/g, "");
  return joined
    .split(/\r?\n/)
    .map((line) => line.replace(/(^|\s)#.*$/, "").trim())
    .filter((line) => line !== "");
}

function pathIn(line: string, folder: string): string | undefined {
  const option = INCLUDE.exec(line)?.[1] ?? LINKS.exec(line)?.[1] ?? EDITABLE.exec(line)?.[1];
  const text = unquoted(option ?? line);
  if (/^[\w+.-]+:\/\//.test(text) && !text.startsWith("file:")) return undefined; // somewhere on a network
  if (option === undefined && !LOCAL.test(text)) return undefined;
  const path = text
    .replace(/^[\w.-]+\s*@\s*/, "")
    .replace(/^file:(?:\/\/(?:localhost)?)?/, "")
    .replace(/\[[^\]]*\].*$|\s*;.*$|\s+--.*$/, "");
  return path === "" ? undefined : resolve(folder, path);
}

function unquoted(text: string): string {
  return text.trim().replace(/^(["'])(.*)\1$/, "$2");
}

/** What `uv.lock` takes from folders of the code. */
export async function pointedByLock(lock: string): Promise<Pointed> {
  const text = await readFile(lock, "utf8").catch(() => "");
  const sources = [...text.matchAll(/source = \{ (editable|directory|path) = "([^"]*)" \}/g)];
  return {
    paths: [...new Set(sources.map(([, , path = "."]) => join(dirname(lock), path)))],
    isEditable: sources.some(([, how]) => how === "editable"),
  };
}
