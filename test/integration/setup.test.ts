import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Setup } from "../../protocol/index.js";
import { type AgentProcess, client, spawnAgent } from "../support/agent.js";
import { sendCode } from "../support/code.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";

const sh = (script: string) => ["sh", "-c", script];
const foldersOf = (agent: AgentProcess) => {
  const dir = join(agent.workDir, agent.name, "environments");
  return existsSync(dir) ? readdirSync(dir).filter((name) => !name.endsWith(".json")) : [];
};
const keptFor = (line: string) => Setup.parse({ commands: [line], files: ["deps.txt"] });

test("a set-up runs once for equal files, and what it made is there for every task; other files make another one", async () => {
  await using nats = await startNats();
  await using agent = await spawnAgent(nats);
  await using c = await client(nats);
  await using folder = await tempFolder();
  const count = join(folder.path, "count");
  const setup = keptFor(`echo made >> "${count}"; mkdir "$NAVVY_ENV/bin"; cp deps.txt "$NAVVY_ENV/bin/deps"`);
  const run = async (deps: string, other: string) => {
    const code = await sendCode(c, { "deps.txt": deps, "main.sh": other });
    const id = await c.submit(sh('cat "$NAVVY_ENV/bin/deps"; echo "$PATH" | cut -d: -f1'), { spec: { code, setup } });
    expect(await c.ended(id)).toMatchObject({ status: "completed" });
    return { out: await c.logOf(id), log: await c.logOf(id, "navvy") };
  };
  const first = await run("a\n", "1");
  const second = await run("a\n", "2");
  expect(second.out).toBe(first.out);
  expect(first.out).toMatch(/^a\n.*environments\/\S+\/bin\n$/);
  expect(first.log).toContain("$ echo made");
  expect(second.log).toMatch(/^environment \S+ is ready: made for task \S+ at \S+\n$/);
  await run("b\n", "2");
  expect((await run("a\n", "3")).out).toBe(first.out);
  expect(readFileSync(count, "utf8")).toBe("made\nmade\n");
  expect(foldersOf(agent)).toHaveLength(2);
});

test("commands that name no files run for every attempt, see all that the task sees, and may change its folder", async () => {
  await using nats = await startNats();
  await using agent = await spawnAgent(nats);
  await using c = await client(nats);
  const setup = Setup.parse({ commands: ['echo "$NAVVY_PARAM_LR $NAVVY_TASK_ID" > made', 'cp made "$NAVVY_ENV/copy"'] });
  const id = await c.submit(sh('cat made "$NAVVY_ENV/copy"'), { spec: { setup }, parameters: { "General/lr": 3 } });
  expect(await c.ended(id)).toMatchObject({ status: "completed" });
  expect(await c.logOf(id)).toBe(`3 ${id}\n3 ${id}\n`);
  expect(foldersOf(agent)).toEqual([]);
});

test("what a set-up prints is the task's output from its first byte, in sections by name, apart from the program's own", async () => {
  await using nats = await startNats();
  await using _agent = await spawnAgent(nats);
  await using c = await client(nats);
  await using folder = await tempFolder();
  const go = join(folder.path, "go");
  const first = `echo early; while [ ! -e "${go}" ]; do sleep 0.05; done`;
  const setup = Setup.parse({ commands: [first, "echo late >&2"] });
  const id = await c.submit(sh("echo program"), { spec: { setup } });
  await eventually("it is there while the set-up runs", async () => (await c.logOf(id, "navvy")).includes("early\n"));
  await eventually("its phase says so", async () => (await c.record(id)).phase === "preparing");
  writeFileSync(go, "");
  await c.ended(id);
  expect(await c.logOf(id)).toBe("program\n");
  const sections: Record<string, string> = {};
  for await (const { stream, section = "", data } of c.navvy.logs.read(await c.record(id)))
    if (stream === "navvy") sections[section] = (sections[section] ?? "") + Buffer.from(data).toString();
  expect(sections).toEqual({
    [`setup: ${first.slice(0, 39)}…`]: `$ ${first}\nearly\n`,
    "setup: echo late >&2": "$ echo late >&2\nlate\n",
  });
});

test("tasks that want the same environment at the same time have it made once, and say whom they wait for", async () => {
  await using nats = await startNats();
  await using agent = await spawnAgent(nats, { slots: 4 });
  await using c = await client(nats);
  await using folder = await tempFolder();
  const [count, go] = [join(folder.path, "count"), join(folder.path, "go")];
  const code = await sendCode(c, { "deps.txt": "" });
  const setup = keptFor(`echo made >> "${count}"; while [ ! -e "${go}" ]; do sleep 0.05; done; echo whole > "$NAVVY_ENV/it"`);
  const ids = await Promise.all([1, 2, 3, 4].map(() => c.submit(sh('cat "$NAVVY_ENV/it"'), { spec: { code, setup } })));
  const logs = () => Promise.all(ids.map((id) => c.logOf(id, "navvy")));
  await eventually("three wait", async () => (await logs()).filter((log) => /waiting for task \S+, which makes/.test(log)).length === 3);
  writeFileSync(go, "");
  for (const id of ids) {
    expect(await c.ended(id)).toMatchObject({ status: "completed" });
    expect(await c.logOf(id)).toBe("whole\n");
  }
  expect(readFileSync(count, "utf8")).toBe("made\n");
  expect(foldersOf(agent)).toHaveLength(1);
});

test("the task's own variables reach its set-up and are part of what makes it another one; what is only this task's does not", async () => {
  await using nats = await startNats();
  await using agent = await spawnAgent(nats, { env: { PIP_EXTRA: "of the agent", SECRET: "of the agent" } });
  await using c = await client(nats);
  const code = await sendCode(c, { "deps.txt": "" });
  const setup = keptFor('echo "$MINE|$PIP_EXTRA|$SECRET|$NAVVY_TASK_ID|$NAVVY_PARAM_LR" > "$NAVVY_ENV/seen"');
  const seen = async (mine: string, lr: number) => {
    const id = await c.submit(sh('cat "$NAVVY_ENV/seen"'), {
      spec: { code, setup, env: { MINE: mine } },
      parameters: { "General/lr": lr },
    });
    await c.ended(id);
    return c.logOf(id);
  };
  expect(await seen("a", 1)).toBe("a|of the agent|||\n");
  expect(await seen("a", 2)).toBe("a|of the agent|||\n");
  expect(foldersOf(agent)).toHaveLength(1);
  expect(await seen("b", 2)).toBe("b|of the agent|||\n");
  expect(foldersOf(agent)).toHaveLength(2);
});
