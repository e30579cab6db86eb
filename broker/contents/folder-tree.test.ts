import { describe, expect, test } from "vitest";
import type { ContentStore } from "./content-store.js";
import { encodeTree, isInside, readTree, staysInside } from "./folder-tree.js";

const file = (path: string) => ({ path, sha256: "a".repeat(64), sizeBytes: 1, mode: 0o644 });
const storeOf = (entries: unknown[]) =>
  ({ getBytes: async () => Buffer.from(JSON.stringify({ type: "navvy.folder.v1", entries })) }) as unknown as ContentStore;

test("the same folder gives the same tree, in whatever order it was read", () => {
  expect(encodeTree([file("b"), file("a/c")])).toEqual(encodeTree([file("a/c"), file("b")]));
});

test.each(["", "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/.", "a\0b", "a/"])("a path %j is not inside", (path) => {
  expect(isInside(path)).toBe(false);
});

test.each(["a", "a/b", "..a", "a b", "ü/é", "e\u0301", "a\\b", "-rf"])("a path %j is inside, as it is", (path) => {
  expect(isInside(path)).toBe(true);
});

test.each([
  ["l", "a", true],
  ["d/l", "../a", true],
  ["d/l", "../../a", false],
  ["l", "/etc/passwd", false],
  ["l", "..", false],
  ["d/l", "..", true],
  ["l", "d/../../x", false],
  ["l", "d/..", false],
  ["l", "", false],
])("a link %j to %j stays inside: %j", (path, target, stays) => {
  expect(staysInside(path, target)).toBe(stays);
});

describe("a tree that someone made up", () => {
  test.each([
    ["leads out by a path", [file("../x")]],
    ["leads out by a link", [{ path: "l", link: "../x" }]],
    ["goes through a link", [{ path: "l", link: "d" }, file("l/x")]],
    ["goes through a file", [file("x"), file("x/y")]],
    ["names a path twice", [file("x"), file("x")]],
    ["is of another form", [{ path: "x" }]],
  ])("and that %s is corrupt", async (_what, entries) => {
    await expect(readTree(storeOf(entries), "b".repeat(64))).rejects.toMatchObject({ code: "corrupt" });
  });
});
