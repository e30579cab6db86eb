import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { TaskSpec } from "../../protocol/index.js";
import { type Client, client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";

const PLANT = fileURLToPath(new URL("../fixtures/secrets/plant.py", import.meta.url));
const TOKEN = 'tok/9f8e"7d+6c 5b4a';
const NEXT_TOKEN = "another-one-0a1b2c";
const KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg+kqhkiG9/0BAQ\nEFAASCBKcwggSjAgEAAoIBAQ==\n-----END PRIVATE KEY-----";
/** No secret, planted in all the same ways: where this is not found the search sees nothing. */
const CONTROL = "ctl-1a2b3c4d5e6f";

/** A value in every way in which the fixture writes it, by other means than those of the redaction. */
function spellings(value: string): string[] {
  const inside = [0, 1, 2].flatMap((before) =>
    (["base64", "base64url"] as const).map((encoding) =>
      Buffer.from(`${"x".repeat(before)}${value}`)
        .toString(encoding)
        .slice(4, -4),
    ),
  );
  const percent = encodeURIComponent(value);
  const json = JSON.stringify(value).slice(1, -1);
  return [
    value,
    json,
    JSON.stringify(json).slice(1, -1),
    percent,
    percent.replaceAll("%20", "+"),
    Buffer.from(value).toString("hex"),
    ...inside,
  ];
}

const SECRETS = [TOKEN, NEXT_TOKEN, KEY, ...KEY.split("\n").slice(1, 3)].flatMap(spellings);

/** What of these stands somewhere. */
const found = (bytes: Uint8Array, needles: string[]) => {
  const text = Buffer.from(bytes).toString("latin1");
  return needles.filter((needle) => text.includes(Buffer.from(needle).toString("latin1")));
};

/** Every message of every stream: logs, metrics, events, records, registrations, objects. */
async function* messages({ navvy }: Client): AsyncGenerator<{ where: string; bytes: Uint8Array }> {
  for await (const { config, state } of navvy.bus.jsm.streams.list()) {
    for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
      const message = await navvy.bus.jsm.streams.getMessage(config.name, { seq }).catch(() => undefined);
      if (message) yield { where: `${config.name} ${message.subject}`, bytes: Buffer.concat([Buffer.from(message.subject), message.data]) };
    }
  }
}

/** Every file below a folder but what the task writes there for itself, or for us and we have not taken it yet. */
function* files(folder: string, except: RegExp): Generator<{ where: string; bytes: Uint8Array }> {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && !except.test(relative(folder, path))) yield { where: path, bytes: readFileSync(path) };
  }
}

function* commandLines(): Generator<{ where: string; bytes: Uint8Array }> {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      yield { where: `cmdline of ${pid}`, bytes: readFileSync(`/proc/${pid}/cmdline`) };
    } catch {
      // It has ended.
    }
  }
}

const finds = async (all: AsyncIterable<{ where: string; bytes: Uint8Array }> | Iterable<{ where: string; bytes: Uint8Array }>) => {
  const secret: string[] = [];
  const control: string[] = [];
  for await (const { where, bytes } of all) {
    secret.push(...found(bytes, SECRETS).map((needle) => `${where}: ${needle}`));
    if (found(bytes, [CONTROL]).length > 0) control.push(where);
  }
  return { secret, control: control.join("\n") };
};

test("secrets that a task plants wherever it can are found nowhere, also when its agent is killed and the value is another by then", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  const at = (name: string) => join(folder.path, name);
  writeFileSync(at("token"), `${TOKEN}\n`, { mode: 0o600 });
  writeFileSync(at("key"), KEY, { mode: 0o600 });
  writeFileSync(at("secrets.json"), JSON.stringify({ token: { file: "token" }, key: { file: "key" } }));
  const options = { name: "keeper", workDir: at("work"), adoptWithin: "30s", args: ["--secrets", at("secrets.json"), "--clean", "never"] };
  const first = await spawnAgent(nats, options);
  const secrets: TaskSpec["secrets"] = { TOKEN: { secret: "token", as: "env" }, KEY: { secret: "key", as: "file" } };
  const env = { CONTROL, GO: at("go") };
  const planting = await c.submit(["python3", PLANT], { spec: { secrets, env } });
  const failing = await c.submit(["true"], {
    spec: {
      secrets,
      setup: { kind: "commands", commands: [`echo ${CONTROL}; cat ${at("token")} ${at("key")}; exit 4`], files: [], timeLimitMs: 20_000 },
    },
  });
  const missing = await c.submit([`./${CONTROL}`, "no such program"], { spec: { secrets } });
  await eventually("it has planted all", async () => (await c.logOf(planting)).includes("planted"), { timeoutMs: 60_000, everyMs: 200 });
  await Promise.all([failing, missing].map((id) => c.ended(id, 60_000)));

  const agentFolder = join(at("work"), "keeper");
  const running = await finds(files(agentFolder, /\/(work|artifacts)\/|\/(events\.jsonl|output)$/));
  expect(running.secret).toEqual([]);
  expect(running.control).toMatch(/attempts\/\S+\/stdout\n/);
  expect(running.control).toMatch(/attempts\/\S+\/stderr\n/);
  expect(running.control).toMatch(/kept\/\S+\/setup/);
  const shown = await finds(commandLines());
  expect(shown.secret).toEqual([]);

  first.kill("SIGKILL");
  await first.exited;
  writeFileSync(at("token"), `${NEXT_TOKEN}\n`);
  await using second = await spawnAgent(nats, options);
  writeFileSync(at("go"), "");
  const done = await c.ended(planting, 60_000);
  expect(done).toMatchObject({ status: "failed", attempt: 1, losses: 0, outcome: { kind: "exited", code: 3 } });
  expect(done.outcome?.tail).toMatch(new RegExp(`\\*\\*\\*\n\\*\\*\\*\n${CONTROL}\n$`));
  expect(await c.logOf(planting)).toContain("via /dev/stdout");

  const sent = await finds(messages(c));
  expect(sent.secret).toEqual([]);
  for (const place of ["KV_navvy_tasks", "_log ", "_metric "]) expect(sent.control).toContain(place);
  const record = Buffer.from(JSON.stringify(done.reported)).toString();
  for (const part of [
    `before ${CONTROL}`,
    `"after${CONTROL}"`,
    "before_output",
    "after_lines",
    `before-early-${CONTROL}`,
    "before-early-***",
  ])
    expect(record).toContain(part);

  await eventually("its folder is kept", () => statSync(join(agentFolder, "kept", `${planting}.1`)).isDirectory());
  const kept = await finds(files(agentFolder, /\/(work|artifacts)\//));
  expect(kept.secret).toEqual([]);
  expect(kept.control).toMatch(/kept\/\S+\/events\.jsonl/);
  const logs = Buffer.from([...first.log, ...second.log].join("\n"));
  expect(found(logs, SECRETS)).toEqual([]);
  await eventually(
    "no filter is left",
    () => !Buffer.concat([...commandLines()].map(({ bytes }) => bytes)).includes("navvy redactor of keeper"),
  );
}, 150_000);
