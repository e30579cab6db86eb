import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";

test("a lease that is too short to be renewed in time is refused with the reason", async () => {
  await using nats = await startNats();
  await expect(spawnAgent(nats, { lease: "1900ms" })).rejects.toThrow(/lease of 1900 ms is too short[\s\S]*--lease 2s/);
});

test.each([
  ["corrupt", '{"op":"journal","version":1,"boot":"BOOT"}\n\0\0\0\n{"op":"end","key":"a","at":"x"}\n', /line 2 is not an entry/],
  ["from a newer version", '{"op":"journal","version":9,"boot":"BOOT"}\n', /version 9/],
])("a host journal that is %s is refused by name; --forget moves it aside", async (_how, text, why) => {
  await using nats = await startNats();
  await using folder = await tempFolder();
  const { readFileSync } = await import("node:fs");
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const options = { name: "keeper", workDir: folder.path };
  await (await spawnAgent(nats, options)).leaveNow();
  const journal = join(folder.path, "keeper", "journal.jsonl");
  writeFileSync(journal, text.replace("BOOT", boot));
  const refused = spawnAgent(nats, options);
  await expect(refused).rejects.toThrow(why);
  await expect(refused).rejects.toThrow(journal);
  await expect(refused).rejects.toThrow("--forget");
  expect(readFileSync(journal, "utf8")).toBe(text.replace("BOOT", boot));
  await using _agent = await spawnAgent(nats, { ...options, args: ["--forget"] });
  expect(readdirSync(join(folder.path, "keeper")).some((name) => name.endsWith(".forgotten"))).toBe(true);
});

test("a second agent in the folder of one that lives is refused with its process, also when that one is stopped", async () => {
  await using nats = await startNats();
  await using first = await spawnAgent(nats, { name: "one" });
  const second = () => spawnAgent(nats, { name: "one", workDir: first.workDir });
  await expect(second()).rejects.toThrow(String(first.pid));
  first.kill("SIGSTOP");
  await expect(second()).rejects.toThrow(`process ${first.pid}`);
  first.kill("SIGCONT");
});

test("a second agent of a name elsewhere is refused while the first renews; one that is silent is waited out", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using first = await spawnAgent(nats, { name: "one", lease: "3s" });
  await expect(spawnAgent(nats, { name: "one", lease: "3s" })).rejects.toThrow(/is up already, on host \S+ as process \d+/);
  first.kill("SIGSTOP");
  await using second = await spawnAgent(nats, { name: "one", lease: "3s" });
  expect(second.log.join("\n")).toContain("waiting until it moves or ends");
  first.kill("SIGCONT");
  await eventually("the first finds itself replaced", () => first.log.some((line) => line.includes("is up already")));
  await eventually("and leaves", () => first.log.some((line) => line.includes("agent has left")), { timeoutMs: 20_000 });
  const id = await c.submit(["true"]);
  expect(await c.ended(id)).toMatchObject({ status: "completed" });
});
