import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { tempFolder } from "../../../test/support/folder.js";
import { EventsFiles, type Positions } from "./events-files.js";

function files(root: string, positions: Positions = {}, problems: string[] = []): EventsFiles {
  return new EventsFiles({ root, events: join(root, "events.jsonl") }, positions, (problem) => problems.push(problem));
}

/** What is there now, per file. */
async function taken(from: EventsFiles, isFinal = false): Promise<Record<string, string[]>> {
  const all: Record<string, string[]> = {};
  for (;;) {
    const pieces = await from.next({ isFinal });
    if (pieces.length === 0) return all;
    for (const { file, lines } of pieces) (all[file] ??= []).push(...lines);
  }
}

test("whole lines are taken in, of each file in order; the last one without an end only when all is over", async () => {
  await using folder = await tempFolder();
  const events = files(folder.path);
  expect(await taken(events)).toEqual({});
  appendFileSync(join(folder.path, "events.jsonl"), "a\nb\nhal");
  appendFileSync(join(folder.path, "events-rank1.jsonl"), "é\n");
  appendFileSync(join(folder.path, "other.jsonl"), "no\n");
  expect(await taken(events)).toEqual({ "events.jsonl": ["a", "b"] });
  await events.look();
  expect(await taken(events)).toEqual({ "events-rank1.jsonl": ["é"] });
  appendFileSync(join(folder.path, "events.jsonl"), "f\nrest");
  expect(await taken(events)).toEqual({ "events.jsonl": ["half"] });
  expect(await taken(events, true)).toEqual({ "events.jsonl": ["rest"] });
  expect(await taken(events, true)).toEqual({});
  await events.close();
});

test("whoever comes after one that died takes in the same pieces again, then what follows, each line once", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(fc.constantFrom("", "x", "ü".repeat(90_000), "z".repeat(1_100_000)), { maxLength: 5 }), {
        minLength: 1,
        maxLength: 3,
      }),
      fc.nat(4),
      async (contents, roundsBefore) => {
        await using folder = await tempFolder();
        const write = (index: number, lines: string[]) =>
          appendFileSync(
            join(folder.path, index === 0 ? "events.jsonl" : `events-${index}.jsonl`),
            lines.map((line) => `${line}\n`).join(""),
          );
        contents.forEach((lines, index) => write(index, lines));
        const first = files(folder.path);
        await first.look();
        const done: Record<string, string[]> = {};
        const add = (pieces: Awaited<ReturnType<EventsFiles["next"]>>) => {
          for (const { file, lines } of pieces) (done[file] ??= []).push(...lines.filter((line) => line !== ""));
        };
        let last: Awaited<ReturnType<EventsFiles["next"]>> = [];
        for (let round = 0; round < roundsBefore; round++) {
          add(last);
          last = await first.next();
        }
        const { positions } = first;
        await first.close();
        contents.forEach((_lines, index) => write(index, ["late"]));
        const second = files(folder.path, structuredClone(positions));
        const again = await second.next();
        if (last.length > 0) expect(again).toEqual(last);
        add(again);
        await second.look();
        for (;;) {
          const pieces = await second.next();
          if (pieces.length === 0) break;
          add(pieces);
        }
        await second.close();
        const wanted = contents.map((lines) => [...lines.filter((line) => line !== "" && line.length < 1_000_000), "late"]);
        expect(
          Object.keys(done)
            .sort()
            .map((name) => done[name]),
        ).toEqual(
          wanted.map((_lines, index) => wanted[index === wanted.length - 1 ? 0 : index + 1]), // events.jsonl sorts last
        );
      },
    ),
    { numRuns: 12 },
  );
});

test("a line of more than 1 MiB is left out, told once, and what follows is taken", async () => {
  await using folder = await tempFolder();
  writeFileSync(join(folder.path, "events.jsonl"), `a\n${"x".repeat(3 * 1024 * 1024)}`);
  const events = files(folder.path);
  let cuts = 0;
  const lines: string[] = [];
  const drain = async () => {
    for (let pieces = await events.next(); pieces.length > 0; pieces = await events.next()) {
      for (const piece of pieces) {
        if (piece.isCutShort) cuts++;
        lines.push(...piece.lines);
        if (piece.lines.includes("b")) expect(piece.first).toBe(2);
      }
    }
  };
  await drain();
  appendFileSync(join(folder.path, "events.jsonl"), `${"x".repeat(100)}\nb\n`);
  await drain();
  expect([cuts, lines]).toEqual([1, ["a", "", "b"]]);
  await events.close();
});

test("a folder, a pipe and a link to itself under such a name hold nobody up, and what can not be read is told", async () => {
  await using folder = await tempFolder();
  mkdirSync(join(folder.path, "events-folder.jsonl"));
  execFileSync("mkfifo", [join(folder.path, "events-pipe.jsonl")]);
  symlinkSync("events-loop.jsonl", join(folder.path, "events-loop.jsonl"));
  writeFileSync(join(folder.path, "events-b.jsonl"), "b\n");
  const problems: string[] = [];
  const events = files(folder.path, {}, problems);
  await events.look();
  expect(await taken(events, true)).toEqual({ "events-b.jsonl": ["b"] });
  expect(problems).toEqual([expect.stringMatching(/^events-loop\.jsonl can not be read: ELOOP/)]);
  await events.look();
  expect(await taken(events, true)).toEqual({});
  expect(problems).toHaveLength(1);
  await events.close();
});

test("a file that is emptied and written anew is taken from its start", async () => {
  await using folder = await tempFolder();
  const path = join(folder.path, "events.jsonl");
  writeFileSync(path, "first\nsecond\n");
  const events = files(folder.path);
  expect(await taken(events)).toEqual({ "events.jsonl": ["first", "second"] });
  truncateSync(path);
  writeFileSync(path, "new\n");
  expect(await taken(events)).toEqual({ "events.jsonl": ["new"] });
  await events.close();
});

test("of a thousand files a hundred are read, and it is told once", async () => {
  await using folder = await tempFolder();
  for (let i = 0; i < 1000; i++) writeFileSync(join(folder.path, `events-${i}.jsonl`), `${i}\n`);
  const problems: string[] = [];
  const events = files(folder.path, {}, problems);
  await events.look();
  await events.look();
  expect(Object.keys(await taken(events))).toHaveLength(99);
  expect(problems).toEqual([expect.stringContaining("at most 100 files")]);
  await events.close();
});
