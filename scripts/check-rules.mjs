// Sees every rule fail: one bad file per rule goes into a temp tree, and the linter must name that rule for that file.
// A rule whose pattern matches nothing is green for ever, so this runs with every `npm run check`.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const bin = (name) => join(root, "node_modules", ".bin", name);
const lines = (count, text) => `${text}\n`.repeat(count);

/** Rule, path, bad file. The folder is part of the case: some rules hold in some folders only. */
const LINT = [
  ["max-lines", "agent/long.ts", `export const first = 1;\n${lines(301, "// line")}`],
  ["max-lines-per-function", "agent/long-function.ts", `export function long(): void {\n${lines(61, "  void 0;")}}\n`],
  ["max-params", "agent/params.ts", "export const sum = (a: number, b: number, c: number, d: number): number => a + b + c + d;\n"],
  [
    "max-depth",
    "agent/depth.ts",
    "export function deep(a: boolean): number {\n  if (a) {\n    if (!a) {\n      if (a) {\n        if (!a) return 1;\n      }\n    }\n  }\n  return 0;\n}\n",
  ],
  ["no-console", "broker/console.ts", 'console.log("x");\nexport {};\n'],
  ["no-unused-vars", "broker/unused.ts", "const unused = 1;\nexport {};\n"],
  ["no-empty", "broker/empty.ts", "try {\n  JSON.parse(String(1));\n} catch {}\nexport {};\n"],
  ["eqeqeq", "broker/eq.ts", "export const same = (a: number, b: number): boolean => a == b;\n"],
  ["no-var", "broker/var.ts", "export var old = 1;\n"],
  ["prefer-const", "broker/const.ts", "let fixed = 1;\nexport const twice = fixed * 2;\n"],
  ["no-restricted-properties", "agent/argv.ts", "export const program = process.argv[1];\n"],
  ["no-restricted-properties", "agent/exit.ts", "process.exit(1);\n"],
  ["no-cycle", "agent/cycle-a.ts", 'import { b } from "./cycle-b.js";\nexport const a = (): number => b() + 1;\n'],
  ["no-explicit-any", "agent/any.ts", "export const loose = (value: any): unknown => value;\n"],
  ["no-floating-promises", "agent/floating.ts", "export function forget(): void {\n  Promise.resolve(1);\n}\n"],
  ["no-misused-promises", "agent/misused.ts", "export const n = Promise.resolve(true) ? 1 : 2;\n"],
  ["await-thenable", "agent/thenable.ts", "export async function wait(): Promise<void> {\n  await 1;\n}\n"],
  [
    "switch-exhaustiveness-check",
    "agent/switch.ts",
    'export function word(state: "on" | "off"): string {\n  switch (state) {\n    case "on":\n      return "yes";\n  }\n  return "no";\n}\n',
  ],
  [
    "consistent-type-imports",
    "agent/type-import.ts",
    'import { Stats } from "node:fs";\nexport const size = (stats: Stats): number => stats.size;\n',
  ],
];

const IMPORTS = [
  ["direction", "broker/up.ts", 'import "../agent/index.js";\n'],
  ["direction", "agent/up.ts", 'import { x } from "../controller/index.js";\nexport { x };\n'],
  ["direction", "controller/up.ts", 'export * from "../cli/index.js";\n'],
  ["direction", "agent/into-test.ts", 'import "../test/support/nats.js";\n'],
  ["direction", "task/relative.ts", 'import "../protocol/index.js";\n'],
  ["index-only", "agent/deep.ts", 'import {\n  x,\n} from "../broker/bus.js";\nexport { x };\n'],
  ["node-prefix", "agent/prefix.ts", 'import { join } from "path";\nexport { join };\n'],
  ["pure-protocol", "protocol/io.ts", 'import { readFileSync } from "node:fs";\nexport { readFileSync };\n'],
  ["bare-task", "task/zod.ts", 'import { z } from "zod";\nexport { z };\n'],
  ["nats", "agent/nats.ts", 'import type { NatsConnection } from "nats";\nexport type Wire = NatsConnection;\n'],
  ["nats", "protocol/nats.ts", 'export const nats = await import("nats");\n'],
  ["launcher", "agent/loops/spawn.ts", 'import { spawn } from "node:child_process";\nexport { spawn };\n'],
  ["launcher", "controller/execa.ts", 'import { execa } from "execa";\nexport { execa };\n'],
  ["command-line", "agent/argv-import.ts", 'import { argv } from "node:process";\nexport { argv };\n'],
];

const FORMAT = [
  ["format", "agent/format.ts", "export const x = {a:1 ,b:'two'}\n"],
  [
    "organizeImports",
    "agent/order.ts",
    'import { join } from "node:path";\nimport { readFileSync } from "node:fs";\n\nexport { join, readFileSync };\n',
  ],
];

/** Also there, so that a linter which complains about everything is noticed. */
const GOOD = {
  "agent/index.ts": 'import { x } from "../broker/index.js";\n\nexport const y = x;\n',
  "broker/index.ts": "export const x = 1;\n",
  "agent/cycle-b.ts": 'import { a } from "./cycle-a.js";\n\nexport const b = (): number => a() - 1;\n',
  "cli/main.ts": "console.log(process.argv.length);\nprocess.exit(0);\n",
};

const folder = mkdtempSync(join(tmpdir(), "navvy rules "));
try {
  prepare();
  const missing = [...unseen(LINT, lintReport()), ...unseen(IMPORTS, importReport()), ...unseen(FORMAT, formatReport()), ...falseAlarms()];
  for (const line of missing) console.log(line);
  process.exitCode = missing.length > 0 ? 1 : 0;
  if (missing.length === 0) console.log(`✔ ${LINT.length + IMPORTS.length + FORMAT.length} rules seen to fail on a bad file`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function prepare() {
  for (const name of [".oxlintrc.json", "biome.json", "tsconfig.json", "package.json"]) cpSync(join(root, name), join(folder, name));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"), "dir");
  const bad = [...LINT, ...IMPORTS, ...FORMAT].map(([, path, text]) => [path, text]);
  for (const [path, text] of [...bad, ...Object.entries(GOOD)]) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** Reports come back as lines that hold a path and a rule, whatever the tool. */
function run(command, args) {
  const { stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  return { stdout, stderr };
}

function lintReport() {
  const { stdout, stderr } = run(bin("oxlint"), ["--type-aware", "--deny-warnings", "--format", "json"]);
  const start = stdout.indexOf("{");
  if (start < 0) throw new Error(`oxlint printed no report: ${stdout}${stderr}`);
  return JSON.parse(stdout.slice(start)).diagnostics.map(({ filename, code }) => ({
    path: filename,
    rule: /\((.+)\)/.exec(code)?.[1] ?? code,
  }));
}

function importReport() {
  const { stdout } = run(process.execPath, [join(root, "scripts", "check-imports.mjs"), "--root", folder]);
  return stdout.split("\n").flatMap((line) => {
    const found = /^(.+?):\d+ ([\w-]+):/.exec(line);
    return found ? [{ path: found[1], rule: found[2] }] : [];
  });
}

function formatReport() {
  // No git in the temp tree, so the ignore file that biome asks for is left out.
  const { stdout, stderr } = run(bin("biome"), ["check", "--vcs-enabled=false", "--max-diagnostics=none", "--reporter=json", "."]);
  const start = stdout.indexOf("{");
  if (start < 0) throw new Error(`biome printed no report: ${stdout}${stderr}`);
  return JSON.parse(stdout.slice(start)).diagnostics.map(({ category, location }) => ({
    path: location?.path?.file ?? location?.path,
    rule: category.split("/").at(-1),
  }));
}

function unseen(cases, report) {
  return cases
    .filter(([rule, path]) => !report.some((found) => found.path.endsWith(path) && found.rule === rule))
    .map(([rule, path]) => `✖ ${rule} was not reported for ${path}`);
}

function falseAlarms() {
  const report = [...lintReport(), ...importReport()].filter(({ path }) => path in GOOD && path !== "agent/cycle-b.ts");
  return report.map(({ path, rule }) => `✖ ${rule} was reported for ${path}, which is fine`);
}
