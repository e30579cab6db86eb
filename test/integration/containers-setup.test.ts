import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Container, GitRef, Setup, TaskSpec } from "../../protocol/index.js";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
import { BASE_IMAGE, type Docker, startDocker } from "../support/docker.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { type Nats, startNats } from "../support/nats.js";

let docker: Docker;
let nats: Nats;
let agent: AgentProcess;
let fleet: Client;
let folder: Awaited<ReturnType<typeof tempFolder>>;
beforeAll(async () => {
  folder = await tempFolder();
  docker = await startDocker();
  nats = await startNats();
  const smi = ["#!/bin/sh", 'case "$*" in *query-gpu*) echo "0, NVIDIA H200, GPU-aa, 143771, 0, 0, 33, 70.0";; esac'];
  await mkdir(join(folder.path, "bin"));
  await writeFile(join(folder.path, "bin", "nvidia-smi"), smi.join("\n"), { mode: 0o755 });
  const env = { ...docker.env, PATH: `${join(folder.path, "bin")}:${process.env["PATH"]}`, NAVVY_GPU_LOCKS: join(folder.path, "locks") };
  agent = await spawnAgent(nats, { env, slots: 3 });
  fleet = await client(nats);
}, 120_000);
afterAll(async () => {
  await fleet[Symbol.asyncDispose]();
  await agent[Symbol.asyncDispose]();
  expect(await docker.containers(), "containers were left behind").toEqual([]);
  await nats[Symbol.asyncDispose]();
  await docker[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
}, 60_000);

const container = { image: BASE_IMAGE } as Container;
const submit = (script: string, spec: Partial<TaskSpec>) => fleet.submit(["sh", "-c", script], { spec: { container, ...spec } });

async function repository(files: Record<string, string>): Promise<GitRef> {
  const path = join(folder.path, `repository-${Object.keys(files).join("-")}`);
  const git = (...args: string[]) => execa("git", ["-c", "user.name=t", "-c", "user.email=t@t", ...args], { cwd: path });
  await mkdir(path);
  await git("init", "--quiet", "--initial-branch", "main");
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text);
  await git("add", "--all");
  await git("commit", "--quiet", "--message", "first");
  return { url: `file://${path}`, ref: "main" } as GitRef;
}

test("code from git and an environment that its own image made are there in a container, and the second task finds them ready", async () => {
  const git = await repository({ "tool.sh": "echo made of $(cat wanted.txt)\n", "wanted.txt": "one\n" });
  const commands = [
    'busybox ls /navvy > /dev/null && printf "#!/bin/sh\\n. ./tool.sh\\n" > "$NAVVY_ENV/tool" && chmod +x "$NAVVY_ENV/tool"',
  ];
  const setup = { kind: "commands", commands, files: ["wanted.txt"] } as unknown as Setup;
  const script = '"$NAVVY_ENV/tool"; touch "$NAVVY_ENV/x" || echo kept';
  const first = await fleet.ended(await submit(script, { git, setup }), 60_000);
  expect(first).toMatchObject({ status: "completed", attempts: [{ commit: expect.stringMatching(/^[0-9a-f]{40}$/) }] });
  expect(await fleet.logOf(first.id)).toBe("made of one\nkept\n");
  const second = await submit(script, { git, setup });
  await fleet.ended(second, 60_000);
  expect(await fleet.logOf(second, "navvy")).toContain(`is ready: made for task ${first.id}`);
  expect(await fleet.logOf(second)).toBe("made of one\nkept\n");
});

test("a set-up that fails in its image fails the set-up, with what it printed last", async () => {
  const setup = { kind: "commands", commands: ["echo trying; echo no such package >&2; exit 7"], files: [] } as unknown as Setup;
  const { status, outcome } = await fleet.ended(await submit("true", { setup }), 60_000);
  expect({ status, kind: outcome?.kind }).toEqual({ status: "failed", kind: "setup_failed" });
  expect(outcome?.tail).toContain("no such package");
});

test.each(["its command is said", "its container runs"])(
  "an abort when %s ends a set-up at once, and nothing of it is left",
  async (when) => {
    const setup = { kind: "commands", commands: ["echo be''gun; sleep 1000"], files: [] } as unknown as Setup;
    const id = await submit("true", { setup, graceMs: 500 });
    const said = when === "its command is said" ? "sleep 1000" : "begun";
    await eventually("it has begun", async () => (await fleet.logOf(id, "navvy")).includes(said), { timeoutMs: 30_000 });
    await fleet.navvy.tasks.abort(id, { reason: "enough" });
    expect(await fleet.ended(id)).toMatchObject({ status: "aborted" });
    await eventually("its container is removed", async () => (await docker.containers()).length === 0);
  },
);

test("an engine that can not hand out GPUs fails the set-up, with the package that is missing", async () => {
  const ended = await fleet.ended(await submit("true", { resources: { gpus: 1 } }), 60_000);
  expect(ended).toMatchObject({ status: "failed", outcome: { kind: "setup_failed" } });
  expect(ended.outcome?.tail).toMatch(/could not select device driver.*NVIDIA container toolkit/s);
});

test("a task with an image waits while no engine answers, and the reason is told", async () => {
  await using lonely = await spawnAgent(nats, { queues: ["bare"], args: ["--runtime", "process"] });
  const id = await fleet.submit(["true"], { queue: "bare", spec: { container } });
  const main = join(import.meta.dirname, "../../dist/cli/main.js");
  const { stdout } = await execa("node", [main, "why", id], { env: { NAVVY_SERVER: nats.url } });
  expect(stdout).toContain(`${lonely.name} serves bare: it runs no containers, and the task wants one`);
  expect(stdout).toContain("Nobody that is up can ever run it.");
});
