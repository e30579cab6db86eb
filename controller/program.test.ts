import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tempFolder } from "../test/support/folder.js";
import { programOf } from "./program.js";

async function project(packageJson?: object) {
  const folder = await tempFolder();
  await mkdir(join(folder.path, "src", "jobs"), { recursive: true });
  if (packageJson) await writeFile(join(folder.path, "package.json"), JSON.stringify(packageJson));
  return { root: folder.path, at: (path: string) => join(folder.path, path), [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() };
}

test("a program is its nearest package, and its script is named inside it", async () => {
  await using it = await project({ type: "module" });
  expect(programOf([it.at("src/jobs/search.ts"), "--rounds", "3"])).toEqual({
    folder: it.root,
    command: ["tsx", "src/jobs/search.ts", "--rounds", "3"],
    additions: {},
  });
});

test("without a package a program is the folder of its script", async () => {
  await using it = await project();
  expect(programOf([it.at("src/jobs/search.mjs")])).toEqual({ folder: it.at("src/jobs"), command: ["node", "search.mjs"], additions: {} });
});

test("a folder below the package takes along that its scripts are ES modules", async () => {
  await using it = await project({ name: "mine", type: "module" });
  expect(programOf([it.at("src/jobs/search.ts")], it.at("src"))).toMatchObject({
    folder: it.at("src"),
    command: ["tsx", "jobs/search.ts"],
    additions: { "package.json": expect.stringContaining('"module"') as string },
  });
  await writeFile(it.at("src/package.json"), "{}");
  expect(programOf([it.at("src/jobs/search.ts")], it.at("src")).additions).toEqual({});
});

test("a program that no agent could run is refused with a reason", async () => {
  await using it = await project({});
  expect(() => programOf([])).toThrow("runs no script file");
  expect(() => programOf([it.at("src/search.py")])).toThrow("can not run elsewhere");
  expect(() => programOf([it.at("search.mjs")], it.at("src"))).toThrow("is not inside");
});
