import { readFile } from "node:fs/promises";
import { execa } from "execa";
import { beforeAll, expect, test } from "vitest";
import { installPacked, type Packed, userEnv } from "../support/packed.js";

interface Manifest {
  version: string;
  exports: Record<string, unknown>;
  files: string[];
}

let packed: Packed;
let manifest: Manifest;

beforeAll(async () => {
  manifest = JSON.parse(await readFile("package.json", "utf8")) as Manifest;
  packed = await installPacked();
}, 240_000);

test("the command of the installed package prints its version", async () => {
  const { stdout } = await inFolder("npx", ["--no-install", "navvy", "--version"]);
  expect(stdout.trim()).toBe(manifest.version);
});

test("every export of the installed package can be imported and holds something", async () => {
  const names = Object.keys(manifest.exports)
    .filter((path) => !path.endsWith(".json"))
    .map((path) => path.replace(/^\./, "navvy"));
  const script = `const count = async (name) => [name, Object.keys(await import(name)).length];
    console.log(JSON.stringify(await Promise.all(${JSON.stringify(names)}.map(count))));`;
  const { stdout } = await inFolder("node", ["--input-type=module", "--eval", script]);
  const counts = JSON.parse(stdout) as [string, number][];
  expect(counts.map(([name]) => name)).toEqual(["navvy", "navvy/controller", "navvy/agent", "navvy/protocol", "navvy/task"]);
  expect(counts.filter(([, count]) => count === 0)).toEqual([]);
});

test("the tarball holds what `files` names and no tests, sources or build state", () => {
  const roots = ["package.json", ...manifest.files.filter((entry) => !entry.startsWith("!"))];
  const inside = (path: string): boolean => roots.some((root) => path === root || path.startsWith(`${root}/`));
  expect(packed.files.filter((path) => !inside(path))).toEqual([]);
  expect(packed.files.filter((path) => /\.test\.|^dist\/\.|^dist\/(test|bench|scripts)\//.test(path))).toEqual([]);
  expect(packed.files.filter((path) => path.startsWith("dist/") && path.endsWith(".ts") && !path.endsWith(".d.ts"))).toEqual([]);
  expect(packed.files).toEqual(expect.arrayContaining(["LICENSE", "README.md", "dist/cli/main.js", "dist/broker/index.d.ts"]));
});

test("the installation brings no development tools along", async () => {
  const { stdout } = await inFolder("npm", ["ls", "--all", "--parseable"]);
  expect(stdout).not.toMatch(/node_modules\/(vitest|typescript|oxlint|@biomejs)/);
});

function inFolder(command: string, args: string[]): Promise<{ stdout: string }> {
  return execa(command, args, { cwd: packed.folder, env: userEnv(), extendEnv: false });
}
