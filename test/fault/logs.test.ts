import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";
import { canMount, smallDisk } from "../support/small-disk.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const MIB = 2 ** 20;
/** No look for container engines: a start is quicker. */
const PLAIN = { args: ["--runtime", "process"] };
const sh = (script: string) => ["sh", "-c", script];
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/** sha256 of what `navvy logs --raw` prints. */
async function rawSha256(server: { url: string }, ...args: string[]): Promise<string> {
  const child = execa(process.execPath, [MAIN, "logs", "--raw", ...args], {
    env: { NAVVY_SERVER: server.url },
    stdout: "pipe",
    buffer: false,
    reject: false,
  });
  const hash = createHash("sha256");
  child.stdout?.on("data", (chunk: Buffer) => hash.update(chunk));
  await Promise.all([once(child.stdout ?? process.stdin, "end"), child]);
  return hash.digest("hex");
}

test("every byte arrives, whatever it is: binary, text that is no UTF-8, one long line, both streams", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, PLAIN);
  await using folder = await tempFolder();
  const [binary, line] = [join(folder.path, "binary"), join(folder.path, "line")];
  const noise = Buffer.concat([Buffer.from([0xff, 0xfe, 0, 0xc3, 0x0d, 0x0a, 0x0d]), randomBytes(4 * MIB)]);
  writeFileSync(binary, noise);
  writeFileSync(line, Buffer.alloc(16 * MIB, "0123456789\r"));
  const id = await c.submit(sh(`cat "${line}" "${binary}"; cat "${binary}" >&2`));
  expect(await c.ended(id, 60_000)).toMatchObject({ status: "completed" });
  expect(await rawSha256(nats, id)).toBe(sha256(Buffer.concat([Buffer.alloc(16 * MIB, "0123456789\r"), noise])));
  expect(Buffer.from(await c.logOf(id, "err")).equals(Buffer.from(noise.toString()))).toBe(true);
  // Who follows and falls behind gets all of it too, however long ago the task has ended.
  let count = 0;
  for await (const piece of c.navvy.logs.read(await c.record(id), { follow: true })) {
    if (count === 0) await delay(2_000);
    count += piece.data.length;
  }
  expect(count).toBe(16 * MIB + 2 * noise.length);
}, 60_000);

test("with NATS killed in mid-way, and the agent too, what a follower gets is what the task wrote", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  await using first = await spawnAgent(nats, { ...PLAIN, adoptWithin: "60s", lease: "30s" });
  const source = join(folder.path, "source");
  const bytes = randomBytes(3 * MIB);
  writeFileSync(source, bytes);
  // 48 pieces of 64 KiB, the last half of them once a file is there.
  const piece = `dd "if=${source}" bs=65536 count=1 skip=$i 2>/dev/null; i=$((i+1)); sleep 0.02`;
  const id = await c.submit(
    sh(
      `i=0; while [ $i -lt 24 ]; do ${piece}; done; while [ ! -e "${folder.path}/go" ]; do sleep 0.05; done; while [ $i -lt 48 ]; do ${piece}; done`,
    ),
  );
  const following = rawSha256(nats, id, "-f");
  await eventually("it prints", async () => (await c.logOf(id)).length > 0);
  await nats.kill("SIGKILL");
  first.kill("SIGKILL");
  await first.exited;
  writeFileSync(join(folder.path, "go"), "");
  await nats.restart();
  await using _second = await spawnAgent(nats, { ...PLAIN, name: first.name, workDir: first.workDir, adoptWithin: "60s" });
  expect(await c.ended(id, 60_000)).toMatchObject({ status: "completed", attempt: 1 });
  expect(await following).toBe(sha256(bytes));
  expect(await rawSha256(nats, id)).toBe(sha256(bytes));
}, 90_000);

test.runIf(canMount)(
  "with NATS away a task that prints stands still before the disk is full, and goes on without a byte lost",
  async () => {
    await using nats = await startNats();
    await using c = await client(nats);
    await using disk = await smallDisk(280);
    await using agent = await spawnAgent(nats, { ...PLAIN, workDir: disk.path, lease: "60s" });
    const line = "x".repeat(99_999);
    const script = `X=$(head -c 99999 /dev/zero | tr "\\0" x); echo begun; while [ ! -e "${disk.path}/go" ]; do sleep 0.05; done; i=0; while [ $i -lt 400 ]; do echo "$X"; i=$((i+1)); sleep 0.01; done`;
    const id = await c.submit(sh(script));
    await eventually("it prints", async () => (await c.logOf(id)).includes("begun"));
    await nats.kill("SIGKILL");
    writeFileSync(join(disk.path, "go"), "");
    await eventually("it stands still", () => agent.log.some((entry) => entry.includes("stands still")), { timeoutMs: 20_000 });
    const { bavail, bsize } = statfsSync(disk.path);
    expect(bavail * bsize).toBeGreaterThan(200 * MIB);
    await nats.restart();
    const done = await c.ended(id, 60_000);
    expect(done).toMatchObject({ status: "completed", attempt: 1 });
    expect(done.reported.notes.map((note) => note.text).join()).toContain("bytes of disk are free");
    expect(sha256(Buffer.from(await c.logOf(id)))).toBe(sha256(Buffer.from(`begun\n${`${line}\n`.repeat(400)}`)));
  },
  90_000,
);
