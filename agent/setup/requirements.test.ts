import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tempFolder } from "../../test/support/folder.js";
import { pointedBy, pointedByLock } from "./requirements.js";

test("what a requirements file points to on this machine is found, and nothing that a network has", async () => {
  await using folder = await tempFolder();
  const at = (...names: string[]) => join(folder.path, ...names);
  mkdirSync(at("more"));
  writeFileSync(
    at("requirements.txt"),
    [
      "torch==2.4.0 # ./not-a-path",
      'numpy ; python_version < "3.12"',
      "--index-url https://example.com/simple/",
      "--extra-index-url=https://example.com/more/",
      "git+https://example.com/a/b.git@v1",
      "-e git+https://example.com/a/c.git#egg=c",
      "pkg @ https://example.com/pkg.whl",
      "-r more/base.txt",
      "-cmore/pins.txt",
      "--find-links ./wheels",
      "./lib/local[extra]",
      "lib/w-1.0-py3-none-any.whl",
      "other @ file:///opt/other",
      "six \\",
      "  --hash=sha256:00/11",
    ].join("\n"),
  );
  writeFileSync(at("more", "base.txt"), "-r ../requirements.txt\n../deep\n");
  const { paths, isEditable } = await pointedBy(at("requirements.txt"));
  const expected = ["more/base.txt", "requirements.txt", "deep", "more/pins.txt", "wheels", "lib/local", "lib/w-1.0-py3-none-any.whl"];
  expect(paths).toEqual([...expected.map((name) => at(name)), "/opt/other"]);
  expect(isEditable).toBe(false);
});

test("a package that is used where it lies makes the code part of the environment", async () => {
  await using folder = await tempFolder();
  const file = join(folder.path, "dev.txt");
  for (const line of ["-e .", "--editable=.", "-e '.'", "-e .[dev]"]) {
    writeFileSync(file, `${line}\n`);
    expect(await pointedBy(file), line).toEqual({ paths: [folder.path], isEditable: true });
  }
  const lock = join(folder.path, "uv.lock");
  writeFileSync(lock, '[[package]]\nsource = { registry = "https://example.com/simple" }\n[[package]]\nsource = { virtual = "." }\n');
  expect(await pointedByLock(lock)).toEqual({ paths: [], isEditable: false });
  writeFileSync(lock, '[[package]]\nsource = { editable = "." }\n[[package]]\nsource = { directory = "lib/x" }\n');
  expect(await pointedByLock(lock)).toEqual({
    paths: [`${folder.path}/`, join(folder.path, "lib/x")].map((path) => path.replace(/\/$/, "")),
    isEditable: true,
  });
});
