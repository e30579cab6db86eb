import { expect, test } from "vitest";
import { NavvyError } from "../../protocol/index.js";
import { referencesOf } from "./references.js";

const sha = (digit: string) => digit.repeat(64);
const text = (value: unknown) => Buffer.from(JSON.stringify(value));

async function all(record: unknown, objects: Record<string, Uint8Array | Error> = {}): Promise<string[]> {
  const getBytes = async (name: string) => {
    const content = objects[name] ?? new NavvyError("not_found", name);
    if (content instanceof Error) throw content;
    return content;
  };
  const found: string[] = [];
  for await (const name of referencesOf(record, { objects: { getBytes } })) found.push(name);
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
  const record = { reported: { artifacts: [{ kind: "manifest", sha256: sha("a") }] } };
  expect(await all(record, { [sha("a")]: text([{ name: "x", sha256: sha("b") }]) })).toEqual([sha("a"), sha("b")]);
  expect(await all(record)).toEqual([sha("a")]);
  await expect(all(record, { [sha("a")]: new NavvyError("timeout", "no answer") })).rejects.toMatchObject({ code: "timeout" });
});
