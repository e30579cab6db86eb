import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { type Nats, startNats } from "../support/nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const sh = (script: string) => ["sh", "-c", script];
const bytes = (text: string) => Buffer.from(text, "latin1");

let nats: Nats;
let agent: AgentProcess;
let c: Client;

beforeAll(async () => {
  nats = await startNats();
  [agent, c] = await Promise.all([spawnAgent(nats, { slots: 4, args: ["--runtime", "process"] }), client(nats)]);
}, 60_000);

afterAll(async () => {
  await agent?.[Symbol.asyncDispose]();
  await c?.[Symbol.asyncDispose]();
  await nats?.[Symbol.asyncDispose]();
});

const start = (...args: string[]) =>
  execa(process.execPath, [MAIN, "logs", ...args], {
    env: { NAVVY_SERVER: nats.url, NO_COLOR: "1" },
    reject: false,
    encoding: "buffer",
    stripFinalNewline: false,
  });
const logs = async (...args: string[]) => {
  const { stdout, stderr, exitCode } = await start(...args);
  return { out: Buffer.from(stdout), err: Buffer.from(stderr).toString(), exitCode };
};
const ended = async (script: string, name: string) => {
  const id = await c.submit(sh(script), { name });
  await c.ended(id);
  return id;
};

test("progress bars are folded to their last state and all else comes byte for byte; --raw keeps every byte", async () => {
  const id = await ended(String.raw`printf '10%%\r20%%\r30%%\nplain \377\376\000\r\nopen'`, "bar");
  expect((await logs(id)).out).toEqual(bytes("30%\nplain \xff\xfe\0\r\nopen"));
  expect((await logs(id, "-f")).out).toEqual(bytes("30%\nplain \xff\xfe\0\r\nopen"));
  expect((await logs(id, "--raw")).out).toEqual(bytes("10%\r20%\r30%\nplain \xff\xfe\0\r\nopen"));
  const lines = (await logs(id, "-o", "jsonl")).out.toString().trim().split("\n");
  expect(lines.map((line) => (JSON.parse(line) as { text: string }).text)).toEqual(["30%", "plain \ufffd\ufffd\0", "open"]);
});

test("lines are chosen by a pattern, by their number from the end, by their time and by their stream", async () => {
  const before = new Date().toISOString();
  const id = await ended("for i in 1 2 3 12; do echo line $i; done; sleep 1; echo late; echo line 1 >&2", "chosen");
  const text = async (...args: string[]) => (await logs(id, ...args)).out.toString();
  expect(await text("--grep", "^line 1")).toBe("line 1\nline 12\n");
  expect(await text("--tail", "2", "-f", "--stream", "out")).toBe("line 12\nlate\n");
  expect(await text("--grep", "line", "--tail", "1", "--stream", "out")).toBe("line 12\n");
  expect(await logs(id, "--stream", "err")).toMatchObject({ out: bytes(""), err: "line 1\n" });
  const lines = (await text("-o", "jsonl")).trim().split("\n");
  const at = lines.map((line) => JSON.parse(line) as { text: string; at: string }).find((line) => line.text === "late")?.at ?? "";
  expect(await text("--since", at)).toBe("late\n");
  expect(await text("--until", new Date(Date.parse(at) - 1).toISOString())).toBe("line 1\nline 2\nline 3\nline 12\n");
  expect(await text("--until", before)).toBe("");
  expect(await text("--since", "1h", "--until", "0s")).toContain("late");
});

test.each([
  [["--grep", "["], "regular expression"],
  [["--since", "yesterday"], "A time looks like 10m"],
  [["--since", "2026-05-01"], "A time looks like 10m"],
  [["--since", "1m", "--until", "1h"], "is later than --until"],
  [["--raw", "--grep", "x"], "--raw and --grep exclude each other"],
  [["--raw", "another"], "--raw gives the bytes of one task"],
])("%j is refused with what is wrong", async (args, message) => {
  const { exitCode, err } = await logs("any", ...args);
  expect(exitCode).not.toBe(0);
  expect(err).toContain(message);
});

test("several tasks are told apart by a prefix, in the order of time; what they still print comes as it is printed", async () => {
  const one = await ended("echo first", "one");
  const two = await ended("echo second", "two");
  const { out } = await logs(two, one);
  expect(out.toString()).toMatch(/^one \w+ │ first\ntwo \w+ │ second\n$/);
  const live = await c.submit(sh("echo begun; while [ ! -e go ]; do sleep 0.05; done; echo gone on"), { name: "live" });
  const following = start(one, live, "-f");
  let seen = "";
  following.stdout?.on("data", (chunk: Buffer) => (seen += chunk.toString()));
  await eventually("history and what is live so far", () => seen.includes("first") && seen.includes("begun"));
  await execa("touch", [`${agent.workDir}/${agent.name}/attempts/${live}.1/work/go`]);
  expect((await following).exitCode).toBe(0);
  expect(
    seen
      .split("\n")
      .filter((line) => line.startsWith("live"))
      .join(),
  ).toMatch(/^live \w+ │ begun,live \w+ │ gone on$/);
});

test("--children gives a task with those that it made, also those that come while it is followed", async () => {
  const parent = await c.submit(sh("echo parent; while [ ! -e go ]; do sleep 0.05; done"), { name: "pipeline" });
  const following = start(parent, "-f", "--children");
  let seen = "";
  following.stdout?.on("data", (chunk: Buffer) => (seen += chunk.toString()));
  await eventually("the parent's log", () => seen.includes("parent"));
  await c.ended(await c.submit(sh("echo a step"), { name: "step", parent }));
  await eventually("the step's log", () => seen.includes("a step"));
  await execa("touch", [`${agent.workDir}/${agent.name}/attempts/${parent}.1/work/go`]);
  await following;
  expect(seen).toMatch(/^pipeline \w+ │ parent\nstep \w+ │ a step\n$/);
  expect((await logs(parent, "--children")).out.toString()).toBe(seen);
});

test("a log over its limit says in its place how many bytes are not there, to people, programs and on stderr with --raw", async () => {
  const spec = { logLimitBytes: 1_000 };
  const id = await c.submit(sh("seq 100000 199999"), { name: "long", spec });
  const done = await c.ended(id);
  expect(done.attempts[0]?.logBytes?.out).toBe(700_000);
  const all = Array.from({ length: 100_000 }, (_, i) => `${100_000 + i}\n`).join("");
  const [head, tail] = [all.slice(0, 500), all.slice(-500)];
  const shown = (await logs(id)).out.toString();
  expect(shown).toBe(`${head}\n[navvy: 699,000 bytes left out here]\n${tail}`);
  const raw = await logs(id, "--raw");
  expect(raw.out.toString()).toBe(head + tail);
  expect(raw.err).toContain("[navvy: 699,000 bytes left out here]");
  const lines = (await logs(id, "-o", "jsonl")).out.toString().trim().split("\n");
  expect(lines.map((line) => JSON.parse(line) as object)).toContainEqual(expect.objectContaining({ omitted: 699_000, stream: "out" }));
  expect((await logs(id, "-f", "--grep", "199999")).out.toString()).toBe("[navvy: 699,000 bytes left out here]\n199999\n");
});
