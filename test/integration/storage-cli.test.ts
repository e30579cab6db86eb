import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { parseRule } from "../../cli/commands/storage.js";
import { client } from "../support/agent.js";
import { byHand } from "../support/by-hand.js";
import { startNats } from "../support/nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const navvy = (server: { url: string }, ...args: string[]) =>
  execa(process.execPath, [MAIN, ...args], { env: { NAVVY_SERVER: server.url, NO_COLOR: "1" }, reject: false });

test("navvy storage shows what lies where and the rules that navvy storage set made; navvy gc enforces them", {
  timeout: 120_000,
}, async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const task = await byHand(c, { project: "iris" });
  await task.print("a log\n");
  await task.end();
  await c.navvy.tasks.bucket.modify(task.id, (record) => ({ ...record, endedAt: new Date(Date.now() - 40 * 86_400_000).toISOString() }));
  await c.navvy.objects.putBytes(Buffer.from("nobody wants me"));

  const set = await navvy(nats, "storage", "set", "--project", "iris", "--logs", "30d", "--artifacts", "90d,50G", "--every", "1d");
  expect(set).toMatchObject({ exitCode: 0, stdout: "project iris: logs 30d · artifacts 90d, 50 GiB" });
  expect(set.stderr).toContain("enforced every 1d by itself");

  const shown = await navvy(nats, "storage");
  expect(shown.exitCode).toBe(0);
  expect(shown.stdout).toMatch(/navvy_log +stream +1 .*8\.0 GiB, 14d/);
  expect(shown.stdout).toMatch(/unreferenced +1 +15 B/);
  expect(shown.stdout).toMatch(/project iris +1 +6 B .*logs 30d · artifacts 90d, 50 GiB/);
  expect(shown.stdout).toContain("logs of 1 task, 6 B");

  const dry = await navvy(nats, "gc", "--dry-run", "-o", "wide");
  expect(dry.stdout).toBe("would take away:\n  logs of 1 task, 6 B");
  expect(dry.stderr).toContain("logs: project iris: kept for 30 d");
  expect(dry.stderr).toContain("1 object (15 B) that nothing refers to are younger than 1d");
  expect(await c.logOf(task.id)).toBe("a log\n");
  const done = JSON.parse((await navvy(nats, "gc", "-o", "json")).stdout);
  expect(done).toMatchObject({
    schema: "navvy.gc/1",
    isDry: false,
    expired: [{ id: task.id, kind: "logs" }],
    objects: [],
    young: { count: 1 },
  });
  const { stdout, stderr } = await navvy(nats, "logs", task.id);
  expect(stdout).toBe("");
  expect(stderr).toMatch(/its log was removed by retention/);
});

test("a rule that can not be read is refused before anything is asked of a server", async () => {
  const refused = await navvy({ url: "nats://127.0.0.1:1" }, "storage", "set", "--logs", "30");
  expect(refused.stderr).toContain("an age with d, h or m, a size with K, M, G or T");
  expect(refused.exitCode).toBe(2);
});

test.each([
  ["30d", { ageMs: 30 * 86_400_000 }],
  ["50G", { bytes: 50 * 1024 ** 3 }],
  ["1h30m, 1.5GiB", { ageMs: 5_400_000, bytes: 1.5 * 1024 ** 3 }],
  ["forever", { ageMs: 0, bytes: 0 }],
  ["inherit", "inherit"],
])("the rule %s is understood", (text, rule) => {
  expect(parseRule(text)).toEqual(rule);
});

test.each(["", "30", "30x", "5m5", "-1d", "1D", "30d,", "50"])("the rule %j is refused", (text) => {
  expect(() => parseRule(text)).toThrow(/is wanted/);
});
