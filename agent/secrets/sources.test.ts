import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { tempFolder } from "../../test/support/folder.js";
import { readSources, readValue } from "./sources.js";

const VALUE = "v4lue-of-one";

/** What is said of a file of secrets, or of the values that it names; never holds a value. */
async function refusal(sources: object | string, mode = 0o600): Promise<string> {
  await using folder = await tempFolder();
  const file = join(folder.path, "secrets.json");
  await writeFile(file, typeof sources === "string" ? sources : JSON.stringify(sources));
  await chmod(file, mode);
  await writeFile(join(folder.path, "open"), VALUE, { mode: 0o644 });
  await writeFile(join(folder.path, "bytes"), Buffer.from([0xff, 0xfe, 1, 2, 3, 4, 5, 6, 7, 8]), { mode: 0o600 });
  const read = async () => {
    for (const [name, source] of await readSources(file)) await readValue(name, source, "me");
  };
  const error = await read().then(
    () => new Error("nothing was refused"),
    (cause: Error) => cause,
  );
  const text = JSON.stringify([error.message, (error as { why?: string }).why, String(error.cause)]);
  expect(text).not.toContain(VALUE);
  return text;
}

test.each([
  [
    "a variable that is not set",
    { unset: { env: "NAVVY_UNSET" } },
    "secret unset of agent me can not be had from variable NAVVY_UNSET: it is not set",
  ],
  ["a file that is not there", { gone: { file: "gone" } }, "there is no such file that this agent may read"],
  ["a file that others may read", { open: { file: "open" } }, "others may read it"],
  ["a file that is no text", { bytes: { file: "bytes" } }, "its value is not UTF-8 text"],
  ["a command that fails", { failing: { command: ["sh", "-c", `echo ${VALUE}; exit 7`] } }, "it exited with 7"],
  ["a command that is not there", { none: { command: ["/no/such/program"] } }, "it could not be run to its end"],
  ["a value in the file itself", { odd: { value: VALUE } }, "secret odd is not as it should be"],
  ["a name that can not be one", { "a.b": { env: "HOME" } }, 'secret name \\\\"a.b\\\\" is not acceptable'],
  ["what is not JSON", `{ "x": ${VALUE} }`, "is not JSON"],
  ["a value that is too short", { short: { command: ["echo", "seven77"] } }, "its value has 7 bytes, and the least is 8"],
  ["a value that stands everywhere", { common: { command: ["echo", "Password"] } }, "it would be redacted where it is not meant"],
  ["a value of one letter", { same: { command: ["echo", "aaaaaaaaaaaa"] } }, "it would be redacted where it is not meant"],
  ["a value that is a file", { long: { command: ["sh", "-c", "seq 1 4000"] } }, "and the most is 8192"],
])("%s is refused, and named without the value", async (_what, sources, message) => {
  expect(await refusal(sources)).toMatch(new RegExp(message.replaceAll(/[.*+?^${}()|[\]]/g, "\\$&")));
});

test("a file of secrets that others may change is refused: it names commands", async () => {
  expect(await refusal({}, 0o666)).toContain("others may change the file of secrets");
});

test("a value is what the source holds, but for the line end that closes it", async () => {
  await using folder = await tempFolder();
  await writeFile(join(folder.path, "lines"), "first line\nsecond\n\n", { mode: 0o600 });
  const file = join(folder.path, "secrets.json");
  await writeFile(file, JSON.stringify({ lines: { file: "lines" }, made: { command: ["printf", "%s\r\n", VALUE] } }));
  const [lines, made] = await Promise.all([...(await readSources(file))].map(([name, source]) => readValue(name, source, "me")));
  expect([lines, made]).toEqual(["first line\nsecond\n", VALUE]);
});
