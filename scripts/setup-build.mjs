// The build: TypeScript to dist/, with everything beside the sources that programs read at run time (pages, data, YAML).
// What has no source any more leaves dist/, so a deleted module is never imported, tested or packed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";

const STAMP = ".navvy-build";
const BUILD_INFO = ".tsbuildinfo";

/**
 * Brings `dist/` up to date; true when there was anything to do. Throws with the compiler's own words when the sources do
 * not compile. `dist/` is changed in place, never emptied: a running agent keeps the files it has yet to load.
 */
export function build(root) {
  const dist = join(root, "dist");
  const sources = sourcesOf(root);
  const stamp = hashOf(root, sources);
  const expected = new Set(sources.flatMap(outputsOf));
  const complete = [...expected].every((path) => existsSync(join(dist, path)));
  if (complete && readStamp(dist) === stamp && stale(dist, expected).length === 0) return false;
  // The compiler's incremental state believes that what it wrote is still there.
  if (!complete) rmSync(join(dist, BUILD_INFO), { force: true });
  rmSync(join(dist, STAMP), { force: true });
  compile(root);
  for (const path of sources.filter((source) => !isTypeScript(source))) copy(join(root, path), join(dist, path));
  for (const path of stale(dist, expected)) rmSync(join(dist, path));
  const main = join(dist, "cli", "main.js");
  if (existsSync(main)) chmodSync(main, 0o755);
  writeFileSync(join(dist, STAMP), stamp);
  return true;
}

function sourcesOf(root) {
  const { include } = JSON.parse(readFileSync(join(root, "tsconfig.build.json"), "utf8"));
  const all = include.flatMap((folder) => walk(join(root, folder))).map((path) => relative(root, path).split(sep).join("/"));
  return all.filter((path) => !/\.test\.ts$|\/(node_modules|__pycache__)\/|\/\.|\.md$/.test(path)).sort();
}

/** The compiler's settings and version belong to the stamp: changing either changes the output. */
function hashOf(root, sources) {
  const hash = createHash("sha256");
  for (const path of ["tsconfig.json", "tsconfig.build.json", "node_modules/typescript/package.json", ...sources]) {
    hash
      .update(`${path}\0`)
      .update(readFileSync(join(root, path)))
      .update("\0");
  }
  return hash.digest("hex");
}

function outputsOf(source) {
  if (source.endsWith(".d.ts")) return [];
  if (!isTypeScript(source)) return [source];
  const stem = source.replace(/\.tsx?$/, "");
  return [`${stem}.js`, `${stem}.d.ts`];
}

function compile(root) {
  const tsc = join(root, "node_modules", "typescript", "bin", "tsc");
  const { status, stdout, stderr } = spawnSync(process.execPath, [tsc, "-p", "tsconfig.build.json"], { cwd: root, encoding: "utf8" });
  if (status !== 0) throw new Error(`the sources do not compile\n${stdout}${stderr}`);
}

function stale(dist, expected) {
  const kept = new Set([STAMP, BUILD_INFO]);
  return walk(dist)
    .map((path) => relative(dist, path).split(sep).join("/"))
    .filter((path) => !expected.has(path) && !kept.has(path));
}

function copy(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(from, to);
  chmodSync(to, statSync(from).mode);
}

function walk(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}

function readStamp(dist) {
  const path = join(dist, STAMP);
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}

function isTypeScript(path) {
  return /\.tsx?$/.test(path);
}
