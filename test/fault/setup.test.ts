import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Setup } from "../../protocol/index.js";
import { type AgentProcess, type Client, client, lives, spawnAgent } from "../support/agent.js";
import { sendCode } from "../support/code.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";

const sh = (script: string) => ["sh", "-c", script];
const folderOf = (agent: AgentProcess) => join(agent.workDir, agent.name, "environments");
const foldersOf = (agent: AgentProcess) => (existsSync(folderOf(agent)) ? readdirSync(folderOf(agent)) : []);
const attemptsOf = (agent: AgentProcess) => readdirSync(join(agent.workDir, agent.name, "attempts"));
const keptFor = (line: string, more: object = {}) => Setup.parse({ commands: [line], files: ["deps.txt"], ...more });
const pidIn = async (c: Client, id: string) => {
  return Number(await eventually("its set-up runs", async () => /^pid (\d+)\n/m.exec(await c.logOf(id, "navvy"))?.[1]));
};
/** Half of an environment, and then it stands still. */
const HANGS = 'echo half > "$NAVVY_ENV/it"; echo "pid $$"; sleep 1000 & wait';

test("a set-up that fails is setup_failed with its last 20 lines and a fix, is not tried again, and leaves nothing behind", async () => {
  await using nats = await startNats();
  await using agent = await spawnAgent(nats, { slots: 1 });
  await using c = await client(nats);
  const code = await sendCode(c, { "deps.txt": "" });
  const setup = keptFor('echo half > "$NAVVY_ENV/it"; setsid sleep 1000 & echo "pid $!"; seq 1 40; exit 3');
  const id = await c.submit(sh("echo ran"), { spec: { code, setup, retries: { limit: 3, backoffMs: 10 } } });
  const done = await c.ended(id);
  expect(done).toMatchObject({ status: "failed", attempt: 1, outcome: { kind: "setup_failed" } });
  expect(done.outcome?.reason).toMatch(/^set-up failed: .* exited with 3$/s);
  const tail = done.outcome?.tail?.split("\n") ?? [];
  expect(tail.slice(-20)).toEqual(Array.from({ length: 20 }, (_, i) => String(i + 21)));
  expect(tail.some((line) => line.startsWith("fix: "))).toBe(true);
  expect(await c.logOf(id, "navvy")).toMatch(/\n40\nset-up failed: .* exited with 3\nfix: .*\n$/s);
  expect(await c.logOf(id)).toBe("");
  expect(lives(Number(/pid (\d+)/.exec(await c.logOf(id, "navvy"))?.[1]))).toBe(false);
  expect(foldersOf(agent)).toEqual([]);
  await eventually("its folder is gone", () => attemptsOf(agent).length === 0);
  expect(await c.ended(await c.submit(sh("echo next")))).toMatchObject({ status: "completed" });
});

test("what a set-up leaves in the background is gone before the program starts", async () => {
  await using nats = await startNats();
  await using _agent = await spawnAgent(nats, { env: { NAVVY_CGROUPS: "off" } });
  await using c = await client(nats);
  const setup = Setup.parse({ commands: ['setsid sleep 1000 & echo $! > "$NAVVY_ENV/pid"'] });
  const id = await c.submit(sh('grep State "/proc/$(cat "$NAVVY_ENV/pid")/status" 2> /dev/null | grep -v Z; echo ran'), {
    spec: { setup },
  });
  expect(await c.ended(id)).toMatchObject({ status: "completed" });
  expect(await c.logOf(id)).toBe("ran\n");
});

test("a set-up that hangs is ended at its own time limit, by force where it does not listen", async () => {
  await using nats = await startNats();
  await using agent = await spawnAgent(nats, { slots: 1 });
  await using c = await client(nats);
  const code = await sendCode(c, { "deps.txt": "" });
  const setup = keptFor(`trap "" TERM; echo start; ${HANGS}; while :; do sleep 1; done`, { timeLimitMs: 500 });
  const id = await c.submit(["true"], { spec: { code, setup, graceMs: 200 } });
  const pid = await pidIn(c, id);
  const done = await c.ended(id);
  expect(done).toMatchObject({ status: "failed", outcome: { kind: "setup_failed" } });
  expect(done.outcome?.reason).toContain("hit its time limit of 0.5 s");
  expect(done.outcome?.tail).toContain("fix: --setup-timeout");
  expect(lives(pid)).toBe(false);
  expect(foldersOf(agent)).toEqual([]);
  expect(await c.ended(await c.submit(["true"]))).toMatchObject({ status: "completed" });
});

test("what a set-up needs and is not there is named, with what to do", async () => {
  await using nats = await startNats();
  await using _agent = await spawnAgent(nats);
  await using c = await client(nats);
  const code = await sendCode(c, { "main.py": "", "bad.txt": "--no-index\nno-such-package-of-ours==1.0\n" });
  const fails = async (setup: object) => {
    const id = await c.submit(["true"], { spec: { code, setup: Setup.parse(setup) } });
    const { outcome, status } = await c.ended(id, 60_000);
    expect({ status, kind: outcome?.kind }).toEqual({ status: "failed", kind: "setup_failed" });
    expect(outcome?.tail).toContain("\nfix: ");
    return `${outcome?.reason}\n${outcome?.tail}`;
  };
  expect(await fails({ commands: ["true"], files: ["deps.txt"] })).toMatch(/^the set-up names deps.txt, which is not in the task's code\n/);
  expect(await fails({ commands: ["true"], files: ["../../x"] })).toContain("leaves the task's code");
  expect(await fails({ kind: "python" })).toContain("no requirements.txt, uv.lock or pyproject.toml");
  expect(await fails({ kind: "python", files: ["bad.txt"], interpreter: "python3.99" })).toMatch(/^there is no python3.99 on this machine/);
  expect(await fails({ kind: "node" })).toContain("no package.json in the working directory");
  const unresolved = await fails({ kind: "python", files: ["bad.txt"] });
  expect(unresolved).toMatch(/^set-up failed: .*-m pip install -r bad.txt exited with 1\n/);
  expect(unresolved).toContain("No matching distribution found for no-such-package-of-ours==1.0");
}, 90_000);

test("an abort in the set-up is SIGTERM, the grace, SIGKILL; the task is aborted only once nothing of it lives", async () => {
  await using nats = await startNats();
  await using agent = await spawnAgent(nats, { slots: 1 });
  await using c = await client(nats);
  const code = await sendCode(c, { "deps.txt": "" });
  const polite = await c.submit(sh("echo ran"), {
    spec: { code, setup: keptFor(`trap 'sleep 0.3; echo tidied; exit 0' TERM; ${HANGS}`) },
  });
  const pid = await pidIn(c, polite);
  await c.navvy.tasks.abort(polite, { reason: "enough" });
  await c.navvy.tasks.wait(polite, { until: (task) => task.phase === "aborting", timeoutMs: 5_000 });
  expect(await c.ended(polite)).toMatchObject({ status: "aborted", reason: "enough", outcome: { kind: "aborted" } });
  expect(lives(pid)).toBe(false);
  expect(await c.logOf(polite, "navvy")).toContain("tidied\n");
  expect(await c.logOf(polite)).toBe("");
  const deaf = await c.submit(sh("echo ran"), { spec: { code, setup: keptFor(`trap '' TERM; ${HANGS}; sleep 1000`) } });
  const deafPid = await pidIn(c, deaf);
  await c.navvy.tasks.abort(deaf, { graceMs: 60_000 });
  await c.navvy.tasks.wait(deaf, { until: (task) => task.phase === "aborting", timeoutMs: 5_000 });
  await c.navvy.tasks.abort(deaf, { graceMs: 0 });
  expect(await c.ended(deaf)).toMatchObject({ status: "aborted" });
  expect(lives(deafPid)).toBe(false);
  await eventually("no half environment is left", () => foldersOf(agent).length === 0);
});

test("when the task that makes an environment is aborted, one of those that wait takes over", async () => {
  await using nats = await startNats();
  await using agent = await spawnAgent(nats, { slots: 3 });
  await using c = await client(nats);
  await using folder = await tempFolder();
  const first = join(folder.path, "first");
  const code = await sendCode(c, { "deps.txt": "" });
  const setup = keptFor(`[ -e "${first}" ] || { touch "${first}"; ${HANGS}; }; echo whole > "$NAVVY_ENV/it"`);
  const maker = await c.submit(["true"], { spec: { code, setup } });
  await pidIn(c, maker);
  const ids = await Promise.all([1, 2].map(() => c.submit(sh('cat "$NAVVY_ENV/it"'), { spec: { code, setup } })));
  for (const id of ids) await eventually("it waits", async () => (await c.logOf(id, "navvy")).includes(`waiting for task ${maker}`));
  await c.navvy.tasks.abort(maker);
  for (const id of ids) {
    expect(await c.ended(id)).toMatchObject({ status: "completed" });
    expect(await c.logOf(id)).toBe("whole\n");
    expect(await c.logOf(id, "navvy")).toContain(`task ${maker} was ended before it was made`);
  }
  expect(foldersOf(agent).filter((name) => !name.endsWith(".json"))).toHaveLength(1);
});

test("when making an environment fails, those that wait for it fail the same way; a later task tries anew", async () => {
  await using nats = await startNats();
  await using _agent = await spawnAgent(nats, { slots: 3 });
  await using c = await client(nats);
  await using folder = await tempFolder();
  const [go, count] = [join(folder.path, "go"), join(folder.path, "count")];
  const code = await sendCode(c, { "deps.txt": "" });
  const setup = keptFor(`echo try >> "${count}"; while [ ! -e "${go}" ]; do sleep 0.05; done; echo no such package; exit 4`);
  const ids = await Promise.all([1, 2, 3].map(() => c.submit(["true"], { spec: { code, setup } })));
  const logs = () => Promise.all(ids.map((id) => c.logOf(id, "navvy")));
  await eventually("two wait", async () => (await logs()).filter((log) => log.includes("waiting for")).length === 2);
  writeFileSync(go, "");
  for (const id of ids) {
    const { outcome } = await c.ended(id);
    expect(outcome).toMatchObject({ kind: "setup_failed", reason: expect.stringContaining("exited with 4") });
    expect(outcome?.tail).toContain("no such package");
  }
  expect(readFileSync(count, "utf8")).toBe("try\n");
  await c.ended(await c.submit(["true"], { spec: { code, setup } }));
  expect(readFileSync(count, "utf8")).toBe("try\ntry\n");
});

test("an agent that is killed in a set-up: its tree is killed at the next start, and the task runs without a failure of its own", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  const once = join(folder.path, "once");
  await using first = await spawnAgent(nats, { adoptWithin: "60s" });
  const code = await sendCode(c, { "deps.txt": "" });
  const setup = keptFor(`[ -e "${once}" ] || { touch "${once}"; ${HANGS}; }; echo whole > "$NAVVY_ENV/it"`);
  const id = await c.submit(sh('cat "$NAVVY_ENV/it"'), { spec: { code, setup } });
  const pid = await pidIn(c, id);
  const [half = ""] = foldersOf(first);
  first.kill("SIGKILL");
  await first.exited;
  expect(lives(pid)).toBe(true);
  await using second = await spawnAgent(nats, { name: first.name, workDir: first.workDir, adoptWithin: "60s" });
  expect(lives(pid)).toBe(false);
  expect(await c.ended(id)).toMatchObject({ status: "completed", failures: 0, attempt: 2 });
  expect(await c.logOf(id)).toBe("whole\n");
  expect(existsSync(join(folderOf(second), half))).toBe(false);
});

test("an agent and its spawner that are both killed in a set-up leave nothing of it running, and nothing that is taken for whole", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using first = await spawnAgent(nats, { adoptWithin: "60s" });
  const code = await sendCode(c, { "deps.txt": "" });
  const id = await c.submit(["true"], { spec: { code, setup: keptFor(HANGS) } });
  const pid = await pidIn(c, id);
  const journal = readFileSync(join(first.workDir, first.name, "journal.jsonl"), "utf8");
  first.kill("SIGKILL");
  process.kill(Number(/"op":"spawner","pid":(\d+)/.exec(journal)?.[1]), "SIGKILL");
  await first.exited;
  await c.navvy.tasks.abort(id);
  await using second = await spawnAgent(nats, { name: first.name, workDir: first.workDir, adoptWithin: "60s" });
  expect(lives(pid)).toBe(false);
  expect(await c.ended(id)).toMatchObject({ status: "aborted" });
  expect(foldersOf(second)).toEqual([]);
});

test("an agent that hands over gives back what is still in its set-up", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats, { adoptWithin: "60s", env: { NAVVY_MANAGED: "1" } });
  const code = await sendCode(c, { "deps.txt": "" });
  const id = await c.submit(["true"], { spec: { code, setup: keptFor(HANGS) } });
  const pid = await pidIn(c, id);
  agent.kill("SIGUSR2");
  expect(await agent.exited).toBe(75);
  const back = await c.navvy.tasks.wait(id, { until: (task) => task.attempts[0]?.outcome !== undefined, timeoutMs: 20_000 });
  expect(back.attempts[0]?.outcome).toMatchObject({ kind: "given_back" });
  expect(lives(pid)).toBe(false);
  await c.navvy.tasks.abort(id);
  await c.ended(id);
});

test("an environment of which something is missing is made anew", async () => {
  await using nats = await startNats();
  await using agent = await spawnAgent(nats);
  await using c = await client(nats);
  const code = await sendCode(c, { "deps.txt": "" });
  const run = async () => {
    const id = await c.submit(sh('cat "$NAVVY_ENV/it"'), { spec: { code, setup: keptFor('echo whole > "$NAVVY_ENV/it"') } });
    expect(await c.ended(id)).toMatchObject({ status: "completed" });
    return c.logOf(id, "navvy");
  };
  await run();
  const [marker = ""] = foldersOf(agent).filter((name) => name.endsWith(".json"));
  const [folder = ""] = foldersOf(agent).filter((name) => !name.endsWith(".json"));
  writeFileSync(join(folderOf(agent), marker), readFileSync(join(folderOf(agent), marker)).subarray(0, 20));
  expect(await run()).toContain("$ echo whole"); // a torn marker
  rmSync(join(folderOf(agent), folder), { recursive: true, force: true });
  const [second = ""] = foldersOf(agent).filter((name) => !name.endsWith(".json"));
  rmSync(join(folderOf(agent), second), { recursive: true });
  expect(await run()).toContain("$ echo whole");
  mkdirSync(join(folderOf(agent), "half-00000000"));
  expect(await run()).toContain("is ready");
});
