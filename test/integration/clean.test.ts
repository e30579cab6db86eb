import { existsSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Setup } from "../../protocol/index.js";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
import { sendCode } from "../support/code.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";
import { canMount, smallDisk } from "../support/small-disk.js";

const sh = (script: string) => ["sh", "-c", script];
const inFolder = (agent: AgentProcess, ...names: string[]) => join(agent.workDir, agent.name, ...names);
const attempts = (agent: AgentProcess) => readdirSync(inFolder(agent, "attempts"));
const kept = (agent: AgentProcess) => (existsSync(inFolder(agent, "kept")) ? readdirSync(inFolder(agent, "kept")) : []);
const environments = (agent: AgentProcess) => readdirSync(inFolder(agent, "environments")).filter((name) => !name.endsWith(".json"));

async function leave(c: Client, script: string): Promise<string> {
  const id = await c.submit(sh(`echo left > trace; ${script}`));
  await c.ended(id);
  return id;
}

/** Runs until `stop` is there, in an environment of 600 KiB that is named by what it is made of. */
const inEnvironment = async (c: Client, name: string, stop = "/") => {
  const code = await sendCode(c, { "deps.txt": name });
  const setup = Setup.parse({
    files: ["deps.txt"],
    commands: ['head -c 614400 /dev/zero > "$NAVVY_ENV/it"; cp deps.txt "$NAVVY_ENV/name"'],
  });
  return c.submit(sh(`while [ ! -e "${stop}" ]; do sleep 0.05; done; wc -c < "$NAVVY_ENV/it"`), { spec: { code, setup } });
};
const namesOf = (agent: AgentProcess) =>
  environments(agent)
    .flatMap((each) => {
      const path = inFolder(agent, "environments", each, "name");
      return existsSync(path) ? [readFileSync(path, "utf8")] : [];
    })
    .sort();

test("by default nothing of an attempt stays; on-success keeps what did not end well, and its record says where", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats, { args: ["--clean", "on-success"] });
  await leave(c, "exit 0");
  const failed = await leave(c, "exit 3");
  await eventually("one is kept, nothing else is left", () => attempts(agent).length === 0 && kept(agent).length === 1);
  const path = inFolder(agent, "kept", `${failed}.1`);
  expect(readFileSync(join(path, "work", "trace"), "utf8")).toBe("left\n");
  expect((await c.record(failed)).reported.notes.map((note) => note.text).join()).toContain(path);
  await using plain = await spawnAgent(nats, { queues: ["plain"] });
  const id = await c.submit(sh("exit 3"), { queue: "plain" });
  await c.ended(id);
  await eventually("its folder is gone", () => attempts(plain).length === 0);
  expect(kept(plain)).toEqual([]);
});

test("never keeps all, for so many days", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats, { args: ["--clean", "never", "--keep-days", "2"] });
  const old = await leave(c, "exit 0");
  await eventually("it is kept", () => kept(agent).length === 1);
  const then = new Date(Date.now() - 2 * 86_400_000 - 60_000);
  utimesSync(inFolder(agent, "kept", `${old}.1`), then, then);
  const fresh = await leave(c, "exit 1");
  await eventually("the old one goes", () => kept(agent).join() === `${fresh}.1`);
});

test("environments are held to their limit: those that were not used for longest go, never one that is in use, not even by an adopted task", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  const stop = join(folder.path, "stop");
  const args = ["--max-environments", "1M"];
  await using first = await spawnAgent(nats, { args, slots: 3, adoptWithin: "60s" });
  const running = await inEnvironment(c, "a", stop);
  await c.executing(running);
  await c.ended(await inEnvironment(c, "b"));
  await c.ended(await inEnvironment(c, "c"));
  await eventually("only what is used stays over the limit", () => namesOf(first).join() === "a", { timeoutMs: 30_000 });
  first.kill("SIGKILL");
  await first.exited;
  await using second = await spawnAgent(nats, { name: first.name, workDir: first.workDir, args, slots: 3, adoptWithin: "60s" });
  const other = await inEnvironment(c, "d", stop);
  await c.executing(other);
  await c.ended(await inEnvironment(c, "e"));
  await eventually("what nobody uses is gone", () => namesOf(second).join() === "a,d", { timeoutMs: 30_000 });
  writeFileSync(stop, "");
  expect(await c.ended(running)).toMatchObject({ status: "completed", attempt: 1 });
  expect(await c.logOf(running)).toBe("614400\n");
});

test.skipIf(!canMount)(
  "when the disk is short, kept folders and unused environments go, the oldest first, and work is taken all the same",
  async () => {
    await using nats = await startNats();
    await using c = await client(nats);
    await using disk = await smallDisk(700);
    const args = ["--clean", "never", "--keep-free", "600M"];
    await using agent = await spawnAgent(nats, { workDir: disk.path, args });
    const big = "head -c 31457280 /dev/zero > big";
    const old = await leave(c, big);
    await c.ended(await inEnvironment(c, "a"));
    const fresh = await leave(c, "true");
    await eventually("all are kept", () => kept(agent).length === 3 && namesOf(agent).join() === "a");
    writeFileSync(join(disk.path, "ballast"), Buffer.alloc(80 * 2 ** 20));
    await eventually("what is oldest goes", () => !existsSync(inFolder(agent, "kept", `${old}.1`)), { timeoutMs: 20_000 });
    expect(existsSync(inFolder(agent, "kept", `${fresh}.1`))).toBe(true);
    writeFileSync(join(disk.path, "ballast"), Buffer.alloc(200 * 2 ** 20));
    await eventually("and then all that can", () => kept(agent).length === 0 && namesOf(agent).length === 0, { timeoutMs: 20_000 });
    expect(statSync(join(disk.path, "ballast")).size).toBe(200 * 2 ** 20);
    const next = await c.submit(sh("true"));
    expect(await c.ended(next)).toMatchObject({ status: "completed" });
    rmSync(join(disk.path, "ballast"));
  },
);
