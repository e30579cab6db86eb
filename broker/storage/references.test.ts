import { expect, test } from "vitest";
import { MANIFEST_NAME, NavvyError } from "../../protocol/index.js";
import type { ContentStore } from "../contents/content-store.js";
import { referencesOf } from "./references.js";

const sha = (digit: string) => digit.repeat(64);
const text = (value: unknown) => Buffer.from(JSON.stringify(value));

async function all(record: unknown, objects: Record<string, Uint8Array | Error> = {}): Promise<string[]> {
  const getBytes = async (name: string) => {
    const content = objects[name] ?? new NavvyError("not_found", name);
    if (content instanceof Error) throw content;
    return content;
  };
  async function* partsOf(name: string) {
    yield* [name, `${name}.chunks`];
  }
  const found: string[] = [];
  for await (const name of referencesOf(record, { objects: { getBytes, partsOf } as unknown as ContentStore })) found.push(name);
  return [...new Set(found)].sort();
}

test("whatever in a record looks like an object's name is a reference, also in fields that only a newer navvy knows", async () => {
  const record = {
    spec: { code: { bundle: sha("a") }, git: { diff: { sha256: sha("b") }, commit: "c".repeat(40) }, inputs: { x: { sha256: sha("d") } } },
    attempts: [{ attempt: 1, log: { sha256: sha("e") } }],
    reported: { artifacts: [{ name: "m", sha256: sha("f") }] },
    unheardOf: { deep: [{ [sha("0")]: `sha256:${sha("1")}` }] },
    tooLong: "2".repeat(65),
    bytes: new Uint8Array(8),
  };
  expect(await all(record)).toEqual("abdef01".split("").map(sha).sort());
});

test("a manifest's references count, and one that can not be read leaves nobody sure", async () => {
  const record = { reported: { artifacts: [{ name: MANIFEST_NAME, kind: "manifest", sha256: sha("a") }] } };
  expect(await all(record, { [sha("a")]: text([{ name: "x", sha256: sha("b") }]) })).toEqual([sha("a"), sha("b")]);
  expect(await all(record)).toEqual([sha("a")]);
  await expect(all(record, { [sha("a")]: new NavvyError("timeout", "no answer") })).rejects.toMatchObject({ code: "timeout" });
});

test("large content keeps what it is made of, also where only a manifest names it", async () => {
  const large = { name: "model", sha256: sha("a"), sizeBytes: 2 ** 30 };
  expect(await all({ reported: { artifacts: [large, { name: "small", sha256: sha("b"), sizeBytes: 5 }] } })).toEqual([
    sha("a"),
    `${sha("a")}.chunks`,
    sha("b"),
  ]);
  expect(await all({ spec: { code: { bundle: sha("a"), sizeBytes: 2 ** 30, files: 9 } } })).toContain(`${sha("a")}.chunks`);
  expect(await all(`damaged ${sha("a")}`)).toContain(`${sha("a")}.chunks`);
  const record = { reported: { artifacts: [{ name: MANIFEST_NAME, kind: "manifest", sha256: sha("c"), sizeBytes: 9 }] } };
  expect(await all(record, { [sha("c")]: text([large]) })).toContain(`${sha("a")}.chunks`);
});
