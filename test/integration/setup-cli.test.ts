import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { spawnAgent } from "../support/agent.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const navvy = (server: { url: string }, ...args: string[]) =>
  execa(process.execPath, [MAIN, ...args], { env: { NAVVY_SERVER: server.url, NO_COLOR: "1" }, reject: false });

test("navvy run shows the parts of a set-up under headings; navvy logs gives one part, or each line with its part's name", async () => {
  await using nats = await startNats();
  await using _agent = await spawnAgent(nats);
  await using folder = await tempFolder();
  const code = join(folder.path, "code");
  mkdirSync(code);
  writeFileSync(join(code, "deps.txt"), "x");
  const setup = ["--setup", "echo one", "--setup", "echo two", "--setup-file", "deps.txt"];
  const run = await navvy(nats, "run", "-n", "setup-cli", "--code", code, ...setup, "--", "echo", "ran");
  expect(run).toMatchObject({ exitCode: 0, stdout: "ran" });
  expect(run.stderr).toMatch(/▾ setup: echo one\n\$ echo one\none\n▾ setup: echo two\n\$ echo two\ntwo\n/);
  const text = async (name: string) => {
    const { stdout, stderr } = await navvy(nats, "logs", "setup-cli", "--section", name);
    return { stdout, stderr };
  };
  expect(await text("setup: echo two")).toEqual({ stdout: "", stderr: "$ echo two\ntwo" });
  expect((await text("setup")).stderr).toBe("$ echo one\none\n$ echo two\ntwo");
  expect(await text("run")).toEqual({ stdout: "ran", stderr: "" });
  const lines = (await navvy(nats, "logs", "setup-cli", "-o", "jsonl")).stdout.split("\n").map((line) => JSON.parse(line));
  expect(lines.map(({ stream, section, text: line }) => [stream, section, line])).toEqual([
    ["navvy", "setup: echo one", "$ echo one"],
    ["navvy", "setup: echo one", "one"],
    ["navvy", "setup: echo two", "$ echo two"],
    ["navvy", "setup: echo two", "two"],
    ["out", undefined, "ran"],
  ]);
});

test("a set-up that fails ends navvy run with 125, with what it printed, why, and what to do", async () => {
  await using nats = await startNats();
  await using _agent = await spawnAgent(nats);
  const run = await navvy(nats, "run", "-n", "bad-setup", "--setup", "echo broken; exit 7", "--", "echo", "ran");
  expect(run).toMatchObject({ exitCode: 125, stdout: "" });
  expect(run.stderr).toContain("broken\nset-up failed: echo broken; exit 7 exited with 7\nfix: ");
  const why = await navvy(nats, "why", "bad-setup");
  expect(why.stdout).toContain("fix: its last lines say why");
  expect(why.stdout).toContain("broken");
});
