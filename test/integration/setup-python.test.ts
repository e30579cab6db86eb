import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Setup } from "../../protocol/index.js";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
import { sendCode } from "../support/code.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";
import { makeWheel } from "../support/wheel.js";

const python = (more: object = {}) => Setup.parse({ kind: "python", ...more });
const count = (agent: AgentProcess) =>
  readdirSync(join(agent.workDir, agent.name, "environments")).filter((name) => !name.endsWith(".json")).length;
/** Wheels in a folder of the code, so that no index is needed. */
const OFFLINE = "--no-index\n--find-links ./wheels\n";
const PRINT = ["python", "-c", "import sys, greet; print(greet.VERSION, sys.prefix != sys.base_prefix)"];

async function run(c: Client, files: Record<string, string | Uint8Array>, { command = PRINT, setup = python() } = {}) {
  const id = await c.submit(command, { spec: { code: await sendCode(c, files), setup } });
  const task = await c.ended(id, 60_000);
  return { task, out: await c.logOf(id), log: await c.logOf(id, "navvy") };
}

test("python: the task runs in a virtual environment of what requirements.txt asks for, made once", async () => {
  await using nats = await startNats();
  await using agent = await spawnAgent(nats);
  await using c = await client(nats);
  const [one, two] = [await makeWheel("greet", "1.0"), await makeWheel("greet", "2.0")];
  const wheels = { [`wheels/${one.file}`]: one.bytes, [`wheels/${two.file}`]: two.bytes };
  const first = await run(c, { ...wheels, "requirements.txt": `${OFFLINE}greet==1.0\n` });
  expect(first.task).toMatchObject({ status: "completed" });
  expect(first.out).toBe("1.0 True\n");
  expect(first.log).toContain("-m pip install -r requirements.txt");
  expect(first.log).toContain("Successfully installed greet-1.0");
  const again = await run(c, { ...wheels, "requirements.txt": `${OFFLINE}greet==1.0\n`, "main.py": "" }, { command: ["greet"] });
  expect(again.out).toBe("1.0\n");
  expect(again.log).toMatch(/^environment \S+ is ready/);
  expect(count(agent)).toBe(1);
  expect((await run(c, { ...wheels, "requirements.txt": `${OFFLINE}greet\n` })).out).toBe("2.0 True\n");
  expect(count(agent)).toBe(2);
}, 120_000);

test("python: files that a requirements file includes, and packages that lie in the code, decide too", async () => {
  await using nats = await startNats();
  await using agent = await spawnAgent(nats);
  await using c = await client(nats);
  const wheels = await Promise.all(["1.0", "2.0"].map((version) => makeWheel("greet", version)));
  const code = (version: string) => ({
    ...Object.fromEntries(wheels.map(({ file, bytes }) => [`wheels/${file}`, bytes])),
    "requirements.txt": `${OFFLINE}-r more/base.txt\n`,
    "more/base.txt": "-c pins.txt\ngreet\n",
    "more/pins.txt": `greet==${version}\n`,
  });
  expect((await run(c, code("1.0"))).out).toBe("1.0 True\n");
  expect((await run(c, code("2.0"))).out).toBe("2.0 True\n");
  const [one] = wheels;
  const local = { [`lib/${one?.file}`]: one?.bytes ?? "", "other.txt": `./lib/${one?.file}\n` };
  expect((await run(c, local, { setup: python({ files: ["other.txt"] }) })).out).toBe("1.0 True\n");
  expect(count(agent)).toBe(3);
}, 120_000);

test("python: commands run in it after what the files ask for; without files they are all it has", async () => {
  await using nats = await startNats();
  await using agent = await spawnAgent(nats);
  await using c = await client(nats);
  const { file, bytes } = await makeWheel("greet", "1.0");
  const setup = python({ commands: [`pip install --no-index ./${file}`] });
  const done = await run(c, { [file]: bytes }, { setup });
  expect(done.out).toBe("1.0 True\n");
  expect(done.log).not.toContain("-r requirements.txt");
  expect(count(agent)).toBe(1);
}, 120_000);

test("python: uv is preferred where there is one, and reads its own lock file", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  const bin = join(folder.path, "bin");
  mkdirSync(bin);
  const log = join(folder.path, "uv.log");
  // Stands in for uv: makes a bare environment, and notes what it was asked for.
  const uv = `#!/bin/sh\necho "$*" >> "${log}"\nfor last; do :; done\n[ "$1" = venv ] && mkdir -p "$last/bin" && ln -s "$(command -v python3)" "$last/bin/python"\nexit 0\n`;
  writeFileSync(join(bin, "uv"), uv, { mode: 0o755 });
  await using _agent = await spawnAgent(nats, { env: { PATH: `${bin}:${process.env.PATH}` } });
  const command = ["sh", "-c", 'echo "$VIRTUAL_ENV" "$UV_PROJECT_ENVIRONMENT"; command -v python'];
  const plain = await run(c, { "requirements.txt": "six\n" }, { command });
  expect(plain.task).toMatchObject({ status: "completed" });
  const lock = await run(c, { "uv.lock": "", "pyproject.toml": "", "requirements.txt": "six\n" }, { command });
  const [venv = "", , python = ""] = lock.out.match(/^(.*\/venv) (.*\/venv)\n(.*)\n$/)?.slice(1) ?? [];
  expect(python).toBe(`${venv}/bin/python`);
  const asked = readFileSync(log, "utf8").trimEnd().split("\n");
  expect(asked.map((line) => line.replace(/ \/.*/, ""))).toEqual([
    "venv --python",
    "pip install -r requirements.txt",
    "venv --python",
    "sync --frozen",
  ]);
}, 60_000);

test("python: a package that is used where it lies in the code goes on working for later tasks", async () => {
  await using nats = await startNats();
  await using agent = await spawnAgent(nats);
  await using c = await client(nats);
  const hasSetuptools = () => execFileSync("python3", ["-c", "import setuptools"]);
  expect(hasSetuptools).not.toThrow();
  const files = {
    "setup.py": "from setuptools import setup\nsetup(name='greet', version='3.0', py_modules=['greet'], package_dir={'': 'src'})\n",
    "src/greet.py": "VERSION = '3.0'\n",
    "requirements.txt": "--no-index\n-e .\n",
  };
  const setup = python({ commands: [] });
  const env = { PIP_NO_BUILD_ISOLATION: "0", PIP_USE_PEP517: "0" };
  const go = async (more: Record<string, string>) => {
    const code = await sendCode(c, { ...files, ...more });
    const id = await c.submit(PRINT, { spec: { code, setup, env } });
    const task = await c.ended(id, 60_000);
    return { task, out: await c.logOf(id), log: await c.logOf(id, "navvy") };
  };
  const first = await go({});
  expect(first.out, first.log).toBe("3.0 True\n");
  const second = await go({});
  expect(second.out, second.log).toBe("3.0 True\n");
  expect(count(agent)).toBe(1);
  expect((await go({ "src/greet.py": "VERSION = '4.0'\n" })).out).toBe("4.0 True\n");
}, 120_000);
