import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { tempFolder } from "../../test/support/folder.js";
import { partsOfName, SafeFolder } from "./safe-folder.js";

async function made() {
  const temp = await tempFolder();
  onTestFinished(() => temp[Symbol.asyncDispose]());
  const [root, elsewhere] = [join(temp.path, "artifacts"), join(temp.path, "elsewhere")];
  await Promise.all([mkdir(root), mkdir(elsewhere)]);
  await writeFile(join(elsewhere, "secret"), "secret");
  return { root, elsewhere, folder: new SafeFolder(root, temp.path) };
}

test("a link in the way is not followed, to be written or to be read; one in the file's own place is replaced", async () => {
  const { root, elsewhere, folder } = await made();
  await symlink(elsewhere, join(root, "out"));
  await symlink(join(elsewhere, "secret"), join(root, "file"));
  await expect(folder.write("out/x", Readable.from([Buffer.from("no")]))).rejects.toMatchObject({ code: "invalid_argument" });
  await expect(folder.open("out/secret")).rejects.toMatchObject({ code: "not_found" });
  await expect(folder.open("file")).rejects.toMatchObject({ code: "not_found" });
  expect(await folder.list("")).toEqual([]);
  await folder.write("file", Readable.from([Buffer.from("mine")]));
  expect(await readFile(join(root, "file"), "utf8")).toBe("mine");
  expect([await readdir(elsewhere), await readFile(join(elsewhere, "secret"), "utf8")]).toEqual([["secret"], "secret"]);
});

test("a file is there whole or not at all, and a folder is not replaced by one", async () => {
  const { root, folder } = await made();
  const broken = Readable.from(
    (async function* () {
      yield Buffer.from("half");
      await Promise.reject(Object.assign(new Error("gone"), { code: "ECONNRESET" }));
    })(),
  );
  await expect(folder.write("a/b", broken)).rejects.toMatchObject({ code: "aborted" });
  expect(await folder.write("a/c", Readable.from([Buffer.from("1"), Buffer.from("23")]))).toBe(3);
  await expect(folder.write("a", Readable.from([]))).rejects.toMatchObject({ code: "invalid_argument" });
  await expect(folder.write("a/c/d", Readable.from([]))).rejects.toMatchObject({ code: "invalid_argument" });
  expect(await readdir(join(root, "a"))).toEqual(["c"]);
  expect(await folder.list("a")).toEqual([{ name: "c", isFolder: false, sizeBytes: 3 }]);
  expect(await folder.list("none")).toEqual([]);
});

test("names lead nowhere else, and may be of any script", () => {
  for (const name of ["", ".", "..", "../x", "a/../b", "/x", "a//b", "a/", "nul\0", "x".repeat(256), "é".repeat(300)])
    expect(() => partsOfName(name), name).toThrow(/can not be an artifact's name/);
  for (const name of ["a", ".x", "...", "a/b/c.pt", "模型/重み.bin", "a\\b", "a b", "~", "-rf", "x".repeat(255)])
    expect(partsOfName(name).join("/")).toBe(name);
});
