import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";

const TOKEN = "tok-9f8e7d6c5b4a";
const KEY = "line one of it\nline two of it\nthird";

/** A file of secrets, and the values beside it. */
async function secretsIn(folder: string, rules: object = {}): Promise<string> {
  const value = join(folder, "token");
  await writeFile(value, `${TOKEN}\n`, { mode: 0o600 });
  const file = join(folder, "secrets.json");
  const sources = { token: { file: "token", ...rules }, key: { command: ["printf", "%s", KEY] }, own: { env: "OWN_SECRET" } };
  await writeFile(file, JSON.stringify(sources));
  return file;
}

test("a task gets its secrets as variables and as files in memory, and nobody else sees them", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  const file = await secretsIn(folder.path);
  await using _agent = await spawnAgent(nats, { args: ["--secrets", file], env: { OWN_SECRET: "from-the-agent" } });
  const secrets = { TOKEN: { secret: "token", as: "env" }, KEY: { secret: "key", as: "file" }, OWN: { secret: "own", as: "env" } } as const;
  const script = `printf '%s' "$TOKEN" | sha256sum
    sha256sum < "$NAVVY_SECRETS/KEY"
    stat -c %a "$NAVVY_SECRETS/KEY"; stat -f -c %T "$NAVVY_SECRETS"; echo "folder $NAVVY_SECRETS"
    echo "token is $TOKEN, and own is $OWN" > /dev/stderr
    cat "$NAVVY_SECRETS/KEY"; printf tok-9f8e; printf 7d6c5b4a; echo; printf 'no line end'; exit 3`;
  const id = await c.submit(["bash", "-c", script], { spec: { secrets } });
  const done = await c.ended(id);
  const digest = (text: string) => `${createHash("sha256").update(text).digest("hex")}  -`;
  const lines = (await c.logOf(id)).split("\n");
  expect(lines.slice(0, 4)).toEqual([digest(TOKEN), digest(KEY), "400", "tmpfs"]);
  expect(lines.slice(5)).toEqual(["******", "no line end"]);
  expect(await c.logOf(id, "err")).toBe("token is ***, and own is ***\n");
  expect(done.outcome).toMatchObject({ kind: "exited", code: 3 });
  expect(done.outcome?.tail).not.toContain(TOKEN);
  expect(JSON.stringify(done)).not.toContain(TOKEN);
  const memory = dirname(lines[4]?.split(" ")[1] ?? "");
  expect(memory).toContain(id);
  await eventually("nothing of it is left in memory", () => !existsSync(memory));
});

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const navvy = (server: string, args: string[], input = "") =>
  execa(process.execPath, [MAIN, "--server", server, ...args], { input, reject: false, env: { HOME: "/nonexistent" } });

test("a task waits for an agent that has its secret, and runs there once it was sealed to it", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats);
  const id = await c.submit(["sh", "-c", 'echo "it is $SEALED"; test "$SEALED" = "$(printf "%s" s3aled-v4lue)"'], {
    spec: { secrets: { SEALED: { secret: "sealed", as: "env" } } },
  });
  const names = async () => {
    const { stdout } = await navvy(nats.url, ["why", id]);
    return stdout.includes("it has no secret sealed") && stdout;
  };
  const why = await eventually("navvy why names the secret", names, { timeoutMs: 40_000 });
  expect(why).toContain("navvy secret set sealed --agent AGENT < FILE");

  const seal = (value: string) => c.navvy.secrets.seal("sealed", { value }, agent.name);
  await expect(seal("short")).rejects.toThrow("its value has 5 bytes, and the least is 8");
  await expect(seal("password")).rejects.toThrow("found everywhere");
  const sealed = await navvy(nats.url, ["secret", "seal", "sealed", "--agent", agent.name], "s3aled-v4lue\n");
  const set = await navvy(nats.url, ["secret", "set", "--sealed"], sealed.stdout);
  expect(set.stdout).toContain(`sealed  sealed to agent ${agent.name}`);
  const done = await c.ended(id);
  expect([done.status, await c.logOf(id)]).toEqual(["completed", "it is ***\n"]);

  const script = 'test "$(cat "$NAVVY_SECRETS/KEY")" = "$sealed" && echo "$sealed"';
  const run = await navvy(nats.url, ["run", "--quiet", "--secret", "sealed", "--secret-file", "KEY=sealed", "--shell", script]);
  expect([run.exitCode, run.stdout, run.stderr]).toEqual([0, "***", ""]);

  const listed = await navvy(nats.url, ["secret", "ls", "-o", "json"]);
  expect(JSON.parse(listed.stdout)).toMatchObject({ items: [{ name: "sealed", agent: agent.name, from: "sealed", state: "ready" }] });
  for (const { stdout, stderr } of [sealed, set, listed]) expect(stdout + stderr).not.toContain("s3aled-v4lue");
  await c.navvy.secrets.remove("sealed");
  await eventually("it is offered no more", async () => (await c.navvy.fleet.agent(agent.name)).record.secrets?.length === 0);
}, 120_000);

test("what was sealed as one secret or for one agent can not be passed off as another, and is not offered", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats);
  const sealed = await c.navvy.secrets.seal("first", { value: "v4lue-of-one" }, agent.name);
  await c.navvy.secrets.set({ ...sealed, name: "second" });
  await c.navvy.secrets.set({ ...sealed, sealed: sealed.sealed.map((byte, i) => (i === 50 ? byte ^ 1 : byte)) });
  await eventually("the agent refuses both", () => agent.log.filter((line) => line.includes("can not be opened")).length >= 2);
  expect((await c.navvy.fleet.agent(agent.name)).record.secrets).toEqual([]);
});

test("an agent refuses to start with a value that can not be kept secret, and names the secret", async () => {
  await using nats = await startNats();
  await using folder = await tempFolder();
  const file = join(folder.path, "secrets.json");
  await writeFile(file, JSON.stringify({ short: { env: "SHORT" } }));
  const args = ["agent", "start", "--name", "bad", "--work-dir", folder.path, "--secrets", file, "--log-format", "json"];
  const { exitCode, stderr } = await execa(process.execPath, [MAIN, "--server", nats.url, ...args], {
    reject: false,
    env: { SHORT: "abc" },
  });
  expect(exitCode).not.toBe(0);
  expect(stderr).toContain("secret short of agent bad is refused: its value has 3 bytes, and the least is 8");
});

test("a secret is given to no task of another queue or project, nor where it would have to lie on a disk", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  const file = await secretsIn(folder.path, { projects: ["vision"] });
  const args = ["--secrets", file];
  await using _agent = await spawnAgent(nats, { args, env: { OWN_SECRET: "from-the-agent" } });
  await using _onDisk = await spawnAgent(nats, {
    queues: ["disk"],
    args: [...args, "--secrets-dir", "/etc"],
    env: { OWN_SECRET: "from-the-agent" },
  });
  const spec = { secrets: { TOKEN: { secret: "token", as: "env" } }, lostLimit: 0 } as const;
  const [other, own, onDisk] = await Promise.all([
    c.submit(["true"], { spec, project: "speech" }),
    c.submit(["true"], { spec, project: "vision" }),
    c.submit(["true"], { spec, project: "vision", queue: "disk" }),
  ]);
  expect((await c.ended(own)).status).toBe("completed");
  expect((await c.ended(other)).outcome).toMatchObject({
    kind: "setup_failed",
    reason: expect.stringContaining("does not give secret token to task"),
    tail: expect.stringContaining("it is for tasks of project vision, and this one is of speech"),
  });
  expect((await c.ended(onDisk)).outcome).toMatchObject({
    kind: "lost",
    reason: expect.stringContaining("they are not written to a disk"),
  });
});

test("names that can not be variables, and a variable that is given twice, are refused", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const create = (secrets: Record<string, { secret: string; as: "env" }>, env = {}) =>
    c.navvy.tasks.create({ name: "t", spec: { command: ["true"], secrets, env } });
  await expect(create({ "A-B": { secret: "a", as: "env" } })).rejects.toThrow("not acceptable as the name");
  await expect(create({ NAVVY_DIR: { secret: "a", as: "env" } })).rejects.toThrow("not acceptable as the name");
  await expect(create({ A: { secret: "a.b", as: "env" } })).rejects.toThrow('secret name "a.b" is not acceptable');
  await expect(create({ A: { secret: "a", as: "env" } }, { A: "x" })).rejects.toThrow("given twice");
});
