// Everything that needs no running system, in one go: `npm run check`, the same for people and for CI. Every step runs even when one
// before it failed; only what failed prints its output. The last line is `N passed, N failed`.
import { spawnSync } from "node:child_process";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));

const STEPS = {
  format: "biome check .",
  lint: "oxlint --type-aware --deny-warnings",
  imports: "node scripts/check-imports.mjs",
  rules: "node scripts/check-rules.mjs",
  types: "tsc -p tsconfig.json",
  unused: "knip",
  publint: "publint --strict",
  "types of the package": "attw --pack . --profile esm-only",
};

const only = process.argv.slice(2);
const names = Object.keys(STEPS).filter((name) => only.length === 0 || only.includes(name));
const failed = names.filter((name) => !passes(name));
console.log(`${names.length - failed.length} passed, ${failed.length} failed`);
process.exitCode = failed.length > 0 || names.length === 0 ? 1 : 0;

function passes(name) {
  const env = { ...process.env, PATH: `${join(root, "node_modules", ".bin")}${delimiter}${process.env.PATH}`, NO_COLOR: "1" };
  const since = performance.now();
  const { status, stdout, stderr, error } = spawnSync(STEPS[name], {
    cwd: root,
    env,
    shell: true,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  const seconds = ((performance.now() - since) / 1000).toFixed(1);
  console.log(`${status === 0 ? "✔" : "✖"} ${name} (${seconds} s)`);
  if (status !== 0) console.log(`${STEPS[name]}\n${error?.message ?? ""}${stdout}${stderr}`);
  return status === 0;
}
