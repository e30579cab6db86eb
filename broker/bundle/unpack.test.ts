import { access, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { packTar, type TarEntry } from "modern-tar";
import { afterEach, beforeEach, expect, test } from "vitest";
import { tempFolder } from "../../test/support/folder.js";
import { unpackBundle } from "./index.js";

let temp: Awaited<ReturnType<typeof tempFolder>>;
let into: string;

beforeEach(async () => {
  temp = await tempFolder();
  into = join(temp.path, "into");
});

afterEach(() => temp[Symbol.asyncDispose]());

const LINK_OUT = link("a", "../outside");
const escapes: [string, TarEntry[]][] = [
  ["a name with ..", [file("../outside")]],
  ["a name with .. in the middle", [file("a/../../outside")]],
  ["an absolute name", [file("/tmp/navvy-outside")]],
  ["a name with a backslash", [file("..\\outside")]],
  ["a link to ..", [LINK_OUT]],
  ["a link to an absolute path", [link("a", "/etc")]],
  ["a file behind a link", [link("a", "."), file("a/b")]],
  ["a link whose detour leads out behind another link", [link("d/up", ".."), link("x", "d/up/..")]],
  ["a hard link", [file("a"), { header: { name: "b", size: 0, type: "link", linkname: "a" } }]],
  ["a device", [{ header: { name: "null", size: 0, type: "character-device" } }]],
];

test.each(escapes)("a bundle with %s is refused, and nothing appears outside", async (_what, entries) => {
  await expect(unpackBundle(await bundle(entries), into)).rejects.toMatchObject({ code: "invalid_argument" });
  expect(await readdir(temp.path)).toEqual(["bundle", "into"]);
  await expect(access("/tmp/navvy-outside")).rejects.toThrow();
});

test("links that climb and descend inside the folder are made", async () => {
  await unpackBundle(await bundle([file("lib/x"), link("bin/x", "../lib/x"), link("lib/self", ".")]), into);
  expect(await readFile(join(into, "bin/x"), "utf8")).toBe("!");
});

test("a bundle that is cut short, or is none, is corrupt", async () => {
  const whole = await readFile(
    await bundle([{ header: { name: "a", size: 100_000 }, body: new Uint8Array(100_000).map((_, i) => i * 31) }]),
  );
  const broken = join(temp.path, "broken");
  await writeFile(broken, whole.subarray(0, whole.length - 50));
  await expect(unpackBundle(broken, into)).rejects.toMatchObject({ code: "corrupt" });
  await writeFile(broken, "not gzip");
  await expect(unpackBundle(broken, into)).rejects.toMatchObject({ code: "corrupt" });
  await writeFile(broken, gzipSync(Buffer.alloc(2_000, "x")));
  await expect(unpackBundle(broken, into)).rejects.toMatchObject({ code: "corrupt" });
  await expect(unpackBundle(join(temp.path, "none"), into)).rejects.toMatchObject({ code: "not_found" });
});

function file(name: string): TarEntry {
  return { header: { name, size: 1 }, body: "!" };
}

function link(name: string, linkname: string): TarEntry {
  return { header: { name, size: 0, type: "symlink", linkname } };
}

async function bundle(entries: TarEntry[]): Promise<string> {
  const path = join(temp.path, "bundle");
  await writeFile(path, gzipSync(await packTar(entries)));
  return path;
}
