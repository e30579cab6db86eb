import { fileURLToPath } from "node:url";
import { execa } from "execa";
import { expect, test } from "vitest";
import { type Client, client, spawnAgent } from "../support/agent.js";
import { startNats } from "../support/nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const navvy = (server: { url: string }, ...args: string[]) =>
  execa(process.execPath, [MAIN, ...args], { env: { NAVVY_SERVER: server.url, NO_COLOR: "1" }, reject: false, timeout: 50_000 });

/** A task that really ran, made so many days older. */
async function old(c: Client, name: string, { days = 40, command = ["true"] } = {}): Promise<string> {
  const id = await c.submit(command, { name });
  await c.ended(id);
  await c.navvy.tasks.bucket.modify(id, (record) => ({ ...record, endedAt: new Date(Date.now() - days * 86_400_000).toISOString() }));
  return id;
}

test("old tasks are archived or deleted, by hand and as a task; what is needed stays, and it says why", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats);
  const [done, failed, young, published, cloned] = await Promise.all([
    old(c, "done"),
    old(c, "failed", { command: ["sh", "-c", "echo words; exit 3"] }),
    old(c, "young", { days: 3 }),
    old(c, "published"),
    old(c, "cloned"),
  ]);
  await c.navvy.tasks.publish(published);
  await c.navvy.tasks.create({
    name: "template",
    spec: { command: ["true"], inputs: { data: { sha256: "0".repeat(64), sizeBytes: 1, from: { task: done, artifact: "data" } } } },
  });

  const on = { kind: "tag" as const, tag: "again" };
  await c.navvy.triggers.create({ name: "again", on, template: cloned, launch: { queue: "default" } });

  const dry = await navvy(nats, "cleanup", "run", "--dry-run");
  expect([dry.exitCode, dry.stdout, dry.stderr]).toEqual([
    0,
    expect.stringMatching(new RegExp(`${failed.slice(-6)} +failed +default +✖ failed +40d +would be archived`)),
    "would be archived: 1 task; 2 stay",
  ]);
  expect(dry.stdout).toMatch(/done .*kept +draft task \w+ takes an input from it/);
  expect(dry.stdout).toMatch(/cloned .*kept +template of trigger again/);
  expect((await c.record(failed)).archived).toBe(false);

  const archiving = await c.submit(["navvy", "cleanup", "run", "--status", "failed,aborted"], { name: "nightly", queue: "services" });
  expect(await c.ended(archiving)).toMatchObject({ status: "completed", reported: { outputs: { archived: 1, deleted: 0, kept: 0 } } });
  expect([(await c.record(failed)).archived, (await c.record(done)).archived]).toEqual([true, false]);

  const deleted = JSON.parse((await navvy(nats, "cleanup", "run", "--older", "2d", "--delete", "-o", "json")).stdout);
  expect(deleted.schema).toBe("navvy.cleaned-tasks/1");
  expect(Object.fromEntries(deleted["items"].map((line: { id: string; done: string }) => [line.id, line.done]))).toEqual({
    [done]: "kept",
    [cloned]: "kept",
    [failed]: "deleted",
    [young]: "deleted",
  });
  await expect(c.record(failed)).rejects.toMatchObject({ code: "not_found" });
  expect((await c.list({})).map(({ name }) => name).sort()).toEqual(["cloned", "done", "nightly", "published", "template"]);

  const wrong = await navvy(nats, "cleanup", "run", "--status", "published");
  expect([wrong.exitCode, wrong.stderr]).toEqual([2, expect.stringContaining("completed, failed, aborted are known")]);
});
