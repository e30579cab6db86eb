import { appendFile, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tempFolder } from "../../test/support/folder.js";
import { Journal, type JournalEntry, type JournalStart } from "./journal.js";

const at = "2030-01-01T00:00:00Z";
const start = (key: string): JournalStart => ({
  op: "start",
  key,
  task: key,
  attempt: 1,
  session: "s1",
  dir: "/d",
  stdout: "/o",
  stderr: "/e",
  exitFile: "/x",
  pool: "compute",
  gpus: [0],
  at,
});
const lastEntry = async (path: string) => JSON.parse((await readFile(path, "utf8")).trim().split("\n").at(-1) ?? "") as JournalEntry;
const end = (key: string): JournalEntry => ({ op: "end", key, at });

test("starts without an end are what an earlier run left, with the session it had", async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, "journal");
  const first = await Journal.open(path);
  expect([first.live.size, first.lastSession]).toEqual([0, undefined]);
  await first.append({ op: "session", session: "s1", revision: 4, at });
  await Promise.all([first.append(start("a.1")), first.append(start("b.1")), first.append({ op: "pid", key: "b.1", pid: 77 })]);
  await first.append(end("a.1"));
  expect(first.live.size).toBe(0);
  await first.close();
  const second = await Journal.open(path);
  expect([...second.live]).toEqual([["b.1", { ...start("b.1"), pid: 77 }]]);
  expect(second.lastSession).toMatchObject({ session: "s1", revision: 4 });
  await second.append(end("b.1"));
  expect(second.live.size).toBe(0);
  await second.close();
});

test("an append is in the file when it resolves, also without a close", async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, "journal");
  const journal = await Journal.open(path);
  await journal.append(start("a.1"));
  expect(await lastEntry(path)).toEqual(start("a.1"));
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await journal.close();
});

test("a torn last line is ignored and later lines are not glued to it", async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, "journal");
  const first = await Journal.open(path);
  await first.append(start("a.1"));
  await first.close();
  await appendFile(path, `{"op":"end","key":"a.`);
  const second = await Journal.open(path);
  expect([...second.live.keys()]).toEqual(["a.1"]);
  await second.append(start("b.1"));
  await second.close();
  const third = await Journal.open(path);
  expect([...third.live.keys()]).toEqual(["a.1", "b.1"]);
  await third.close();
});

test("opening drops what has ended from the file", async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, "journal");
  const first = await Journal.open(path);
  for (const key of ["a.1", "b.1", "c.1"]) await first.append(start(key));
  await Promise.all([first.append(end("a.1")), first.append(end("c.1"))]);
  await first.close();
  await (await Journal.open(path)).close();
  expect(await lastEntry(path)).toEqual(start("b.1"));
  expect((await readFile(path, "utf8")).trim().split("\n")).toHaveLength(2);
});

test("a journal that grows is compacted while it is used, and loses nothing", async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, "journal");
  const journal = await Journal.open(path, { compactBytes: 4_000 });
  await journal.append({ op: "session", session: "s1", revision: 1, at });
  await journal.append(start("kept"));
  for (let i = 0; i < 100; i++) {
    await journal.append(start(`k.${i}`));
    await journal.append(end(`k.${i}`));
  }
  await journal.append(start("last"));
  expect((await stat(path)).size).toBeLessThan(5_000);
  await journal.close();
  const next = await Journal.open(path);
  expect([...next.live.keys()]).toEqual(["kept", "last"]);
  expect(next.lastSession?.session).toBe("s1");
  await next.close();
});

test("appends that wait together are synced together", async () => {
  await using folder = await tempFolder();
  const journal = await Journal.open(join(folder.path, "journal"));
  const order: number[] = [];
  await Promise.all(Array.from({ length: 2_000 }, (_, i) => journal.append(start(`k.${i}`)).then(() => order.push(i))));
  expect(order).toEqual(Array.from({ length: 2_000 }, (_, i) => i));
  await journal.close();
});

test("a closed journal takes no more, and what was appended before is in it", async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, "journal");
  const journal = await Journal.open(path);
  const appended = journal.append(start("a.1"));
  await journal.close();
  await appended;
  await expect(journal.append(start("b.1"))).rejects.toMatchObject({ code: "internal" });
  expect(await lastEntry(path)).toEqual(start("a.1"));
});

test.each([
  ["a line in the middle that is not an entry", (text: string) => text.replace(/"op":"start"/, "\0\0\0"), "unreadable"],
  ["a newer version", (text: string) => text.replace('"version":1', '"version":2'), "newer_version"],
  ["an entry of an unknown kind", (text: string) => text.replace('"op":"start"', '"op":"lock"'), "newer_version"],
])("%s: refused with the file's name, and moved aside when told to forget", async (_name, damage, code) => {
  await using folder = await tempFolder();
  const path = join(folder.path, "journal");
  const first = await Journal.open(path);
  await first.append(start("a.1"));
  await first.append(start("b.1"));
  await first.close();
  const damaged = damage(await readFile(path, "utf8"));
  await writeFile(path, damaged);
  await expect(Journal.open(path)).rejects.toMatchObject({ code, message: expect.stringContaining(path) });
  expect(await readFile(path, "utf8")).toBe(damaged);
  const fresh = await Journal.open(path, { forget: true });
  expect(fresh.live.size).toBe(0);
  await fresh.close();
  const aside = (await readdir(folder.path)).filter((name) => name.endsWith(".forgotten"));
  expect(await readFile(join(folder.path, aside[0] ?? ""), "utf8")).toBe(damaged);
});

test("what a power failure tore is read as far as it goes: nothing of before the boot still runs", async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, "journal");
  await writeFile(path, `{"op":"journal","version":1,"boot":"another"}\n${JSON.stringify(start("a.1"))}\n\0\0\0\n`);
  const journal = await Journal.open(path);
  expect([...journal.live.keys()]).toEqual(["a.1"]);
  await journal.close();
});
