import { readdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { type Reporting, reporting } from "../../test/support/reporting.js";

const SCRIPT = fileURLToPath(new URL("./navvy-report", import.meta.url));

/** Runs lines in which `R` is the script. */
const shell = (inside: Pick<Reporting, "env">, lines: string, env: Record<string, string> = {}) =>
  execa("sh", ["-c", `R() { "${SCRIPT}" "$@"; }\n${lines}`], { env: { ...inside.env, ...env }, reject: false, timeout: 30_000 });

test("every kind of report is one line that the agent reads, with numbers as JSON has them", async () => {
  await using inside = await reporting();
  const { exitCode, stderr } = await shell(
    inside,
    `R scalar loss .5 --step 10; R scalar loss 007. --step=011; R scalar loss NaN; R scalar loss -Infinity; R scalar lr +1E-4
     R progress 3 10 epoch; R progress 3; R output "a=json:[1,2]" "b=x=y" c=; R note warn "disk is slow"; R note hello`,
  );
  expect([exitCode, stderr]).toEqual([0, ""]);
  expect(await inside.events()).toEqual([
    { t: "scalar", k: "loss", v: 0.5, step: 10 },
    { t: "scalar", k: "loss", v: 7, step: 11 },
    { t: "scalar", k: "loss", v: "nan" },
    { t: "scalar", k: "loss", v: "-inf" },
    { t: "scalar", k: "lr", v: 1e-4 },
    { t: "progress", n: 3, of: 10, unit: "epoch" },
    { t: "progress", n: 3 },
    { t: "output", k: "a", v: [1, 2] },
    { t: "output", k: "b", v: "x=y" },
    { t: "output", k: "c", v: "" },
    { t: "note", level: "warn", text: "disk is slow" },
    { t: "note", level: "info", text: "hello" },
  ]);
});

test("quotes, backslashes, line breaks, control characters and any other text arrive as they were", async () => {
  await using inside = await reporting();
  const texts = [
    'say "hi" \\ \\n',
    "two\nlines\r\n\tand a tab",
    "bell \u0007 escape \u001b del \u007f",
    "é 漢字 🙂",
    "'$HOME' `id` %s *",
    "-n",
  ];
  for (const sh of ["sh", "bash"]) for (const text of texts) await execa(sh, [SCRIPT, "output", `k"\n=${text}`], { env: inside.env });
  expect(await inside.events()).toEqual([...texts, ...texts].map((v) => ({ t: "output", k: 'k"\n', v })));
});

test("a file is copied and reported with its kind, a folder is copied for the end", async () => {
  await using inside = await reporting();
  await writeFile(inside.at("made.bin"), "content");
  const lines = `cd "$NAVVY_DIR"; mkdir -p many/sub; echo a > many/sub/a.txt
    R artifact made.bin --name models/best.bin --kind model; R artifact many/; R artifact "$NAVVY_ARTIFACTS/models/best.bin" --name models/best.bin`;
  expect(await shell(inside, lines)).toMatchObject({ exitCode: 0, stderr: "" });
  const path = inside.at("artifacts/models/best.bin");
  expect(await readFile(path, "utf8")).toBe("content");
  expect(await readFile(inside.at("artifacts/many/sub/a.txt"), "utf8")).toBe("a\n");
  expect(await readdir(inside.at("artifacts/models"))).toEqual(["best.bin"]);
  expect(await inside.events()).toEqual([
    { t: "artifact", name: "models/best.bin", path, kind: "model" },
    { t: "artifact", name: "models/best.bin", path },
  ]);
});

test("a summary comes from stdin or a file and adds to what is there", async () => {
  await using inside = await reporting();
  await shell(inside, `echo '# one' | R summary; echo '# two' > "$NAVVY_DIR/two.md"; R summary "$NAVVY_DIR/two.md"`);
  expect(await readFile(inside.at("summary.md"), "utf8")).toBe("# one\n# two\n");
});

const MISTAKES: [string, string][] = [
  ["scalar loss abc", "is a number, not 'abc'"],
  ["scalar loss 1e", "is a number, not '1e'"],
  ["scalar loss", "takes a name and a value"],
  ["scalar loss 1 --step 1.5", "--step is a whole number, not '1.5'"],
  ["scalar loss 1 --stop 1", "takes no '--stop'"],
  ["progress inf", "is a finite number"],
  ["output accuracy", "takes NAME=VALUE, not 'accuracy'"],
  ["note loud text", "is info, warn or error, not 'loud'"],
  ["artifact missing.txt", "there is no file missing.txt"],
  ["artifact SCRIPT --name ../escaped", "is not a name inside $NAVVY_ARTIFACTS"],
  ["frobnicate", "there is no report 'frobnicate'"],
];

test("a mistake is named with what to write instead, ends with 2 and reports nothing", async () => {
  await using inside = await reporting();
  for (const [words, says] of MISTAKES) {
    const args = words.split(" ").map((word) => (word === "SCRIPT" ? SCRIPT : word));
    const { exitCode, stderr } = await execa(SCRIPT, args, { env: inside.env, reject: false });
    expect([exitCode, stderr], words).toEqual([2, expect.stringMatching(/^error: navvy-report: [^\n]*\n {2}fix: [^\n]+$/)]);
    expect(stderr).toContain(says);
  }
  expect(await inside.events()).toEqual([]);
});

test("a full disk ends no script, and outside navvy it only warns", async () => {
  await using inside = await reporting();
  const full = await shell(inside, "set -e; R scalar loss 1; echo went on", { NAVVY_EVENTS: "/dev/full" });
  expect(full).toMatchObject({ exitCode: 0, stdout: "went on", stderr: expect.stringContaining("could not be written") });
  const outside = await execa(SCRIPT, ["scalar", "loss", "1"], {
    reject: false,
    extendEnv: false,
    env: { PATH: process.env["PATH"] ?? "" },
  });
  expect(outside).toMatchObject({ exitCode: 0, stderr: "navvy-report: this was not started by navvy, so its reports go nowhere" });
});

test("lines of several writers never mix, also long ones", async () => {
  await using inside = await reporting();
  const writer = `for i in $(seq 8); do R output "k=$1$(printf '%06000d' 0)"; R scalar loss $i; done`;
  const writers = ["a", "b", "c"].map((name) => shell(inside, `set -- ${name}\n${writer}`));
  for (const { exitCode } of await Promise.all(writers)) expect(exitCode).toBe(0);
  expect(await inside.events()).toHaveLength(48);
});
