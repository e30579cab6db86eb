import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Setup } from "../../protocol/index.js";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
import { sendCode } from "../support/code.js";
import { startNats } from "../support/nats.js";

const SETUP = Setup.parse({ kind: "node" });
const count = (agent: AgentProcess) =>
  readdirSync(join(agent.workDir, agent.name, "environments")).filter((name) => !name.endsWith(".json")).length;

/** A project that needs nothing of a registry: what it depends on lies in it. */
const project = (version: string): Record<string, string> => ({
  "package.json": JSON.stringify({ name: "p", version: "1.0.0", type: "module", dependencies: { greet: "file:greet" } }),
  "package-lock.json": JSON.stringify({
    name: "p",
    version: "1.0.0",
    lockfileVersion: 3,
    packages: {
      "": { name: "p", version: "1.0.0", dependencies: { greet: "file:greet" } },
      greet: { version: "1.0.0", bin: { greet: "bin.js" } },
      "node_modules/greet": { resolved: "greet", link: true },
    },
  }),
  "greet/package.json": JSON.stringify({ name: "greet", version: "1.0.0", main: "index.js", bin: { greet: "bin.js" } }),
  "greet/index.js": `module.exports = ${JSON.stringify(version)};\n`,
  "greet/bin.js": "#!/usr/bin/env node\nconsole.log('bin', require('./index.js'));\n",
  "main.js": "import greet from 'greet';\nconsole.log(greet);\n",
});

async function run(c: Client, files: Record<string, string>, directory?: string) {
  const code = await sendCode(c, files);
  const command = ["sh", "-c", "node main.js; command -v greet > /dev/null && greet"];
  const id = await c.submit(command, { spec: { code, setup: SETUP, ...(directory === undefined ? {} : { directory }) } });
  const task = await c.ended(id, 60_000);
  return { task, out: await c.logOf(id), log: await c.logOf(id, "navvy") };
}

test("node: node_modules is made by npm ci as the lock says, once, and lies in the working directory of every task", async () => {
  await using nats = await startNats();
  await using agent = await spawnAgent(nats);
  await using c = await client(nats);
  const first = await run(c, project("one"));
  expect(first.out, first.log).toBe("one\nbin one\n");
  expect(first.log).toContain("npm ci ");
  const second = await run(c, { ...project("one"), "main.js": "import greet from 'greet';\nconsole.log('again', greet);\n" });
  expect(second.out, second.log).toBe("again one\nbin one\n");
  expect(second.log).toMatch(/^environment \S+ is ready/);
  expect(count(agent)).toBe(1);
  expect((await run(c, project("two"))).out).toBe("two\nbin two\n");
  expect(count(agent)).toBe(2);
}, 90_000);

test("node: without anything to install it is made all the same; node_modules that the code brings stay", async () => {
  await using nats = await startNats();
  await using _agent = await spawnAgent(nats);
  await using c = await client(nats);
  const bare = { "sub/package.json": '{"type":"module"}', "sub/main.js": "console.log('ran');\n" };
  const empty = await run(c, bare, "sub");
  expect(empty.log).toContain("npm install --no-package-lock ");
  expect(empty.out).toBe("ran\n");
  const own = {
    ...project("made"),
    "node_modules/greet/package.json": '{"name":"greet","main":"i.js"}',
    "node_modules/greet/i.js": "module.exports='own'",
  };
  const { log, out } = await run(c, own);
  // Packing may leave node_modules out: then there is nothing of the code's own.
  if (out.startsWith("own")) expect(log).toContain("the code brings node_modules of its own");
  else expect(out).toBe("made\nbin made\n");
}, 90_000);
