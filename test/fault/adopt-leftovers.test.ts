import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type AgentProcess, type Client, client, lives, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";

const sh = (script: string) => ["sh", "-c", script];
const KEEP = { adoptWithin: "60s" };
const pidOf = async (c: Client, id: string) => {
  await eventually("it prints", async () => (await c.logOf(id)).includes("pid "));
  return Number(/pid (\d+)/.exec(await c.logOf(id))?.[1]);
};
const again = (nats: { url: string }, agent: AgentProcess, options: Parameters<typeof spawnAgent>[1] = {}) =>
  spawnAgent(nats, { name: agent.name, workDir: agent.workDir, ...KEEP, ...options });

test("what was noted of an attempt before a power failure may be torn: it is adopted, and its log is whole", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using first = await spawnAgent(nats, KEEP);
  const stop = join(first.workDir, "stop");
  const id = await c.submit(sh(`echo "pid $$"; while [ ! -e "${stop}" ]; do sleep 0.05; done; echo end`));
  const pid = await pidOf(c, id);
  first.kill("SIGKILL");
  await first.exited;
  for (const name of ["shipped.json", "taken.json"]) writeFileSync(join(first.workDir, first.name, "attempts", `${id}.1`, name), "");
  await using _second = await again(nats, first);
  writeFileSync(stop, "");
  expect(await c.ended(id)).toMatchObject({ status: "completed", attempt: 1, losses: 0 });
  expect(await c.logOf(id)).toBe(`pid ${pid}\nend\n`);
});

test("an agent started anew without the journal of its killed run leaves that run's tasks alone until they stand still", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  const marks = join(folder.path, "marks");
  await using first = await spawnAgent(nats, { adoptWithin: "8s", lease: "6s" });
  const id = await c.submit(
    sh(
      `echo "pid $$"; i=0; while [ $i -lt 400 ]; do echo "$NAVVY_ATTEMPT" >> "${marks}"; [ $NAVVY_ATTEMPT = 1 ] || exit 0; sleep 0.05; i=$((i+1)); done`,
    ),
  );
  const pid = await pidOf(c, id);
  first.kill("SIGKILL");
  await first.exited;
  await using _second = await again(nats, first, { args: ["--forget"], lease: "6s" });
  expect(await c.ended(id, 40_000)).toMatchObject({ status: "completed", attempt: 2, losses: 1 });
  await eventually("the first tree is ended by its spawner", () => !lives(pid), { timeoutMs: 20_000 });
  expect(readFileSync(marks, "utf8")).toMatch(/^(1\n)+2\n$/);
}, 90_000);

test("an attempt that can not be taken up is given up, and keeps neither the agent nor the others from going on", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using first = await spawnAgent(nats, KEEP);
  const ids = await Promise.all([1, 2].map(() => c.submit(sh('echo "pid $$"; [ $NAVVY_ATTEMPT = 1 ] && sleep 2; exit 0'))));
  const [bad = "", good = ""] = ids;
  const pid = await pidOf(c, bad);
  await pidOf(c, good);
  first.kill("SIGKILL");
  await first.exited;
  const { bus } = c.navvy;
  await bus.js.publish(`$KV.${bus.assets.buckets.tasks.name}.${bad}`, new Uint8Array([0xc1]));
  await using second = await again(nats, first);
  expect(await c.ended(good)).toMatchObject({ status: "completed", attempt: 1 });
  expect(lives(pid)).toBe(false);
  expect(second.log.some((line) => line.includes("could not be adopted"))).toBe(true);
});

test("a start that waited for a lease when its agent was killed is no failure of the task: it goes back to its queue", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using first = await spawnAgent(nats, { ...KEEP, lease: "6s" });
  const journal = join(first.workDir, first.name, "journal.jsonl");
  const spawner = Number(/"op":"spawner","pid":(\d+)/.exec(readFileSync(journal, "utf8"))?.[1]);
  process.kill(spawner, "SIGSTOP");
  const id = await c.submit(sh('echo "of $NAVVY_ATTEMPT"'));
  await eventually("it is on its way to the spawner", () => readFileSync(journal, "utf8").includes(id));
  first.kill("SIGSTOP");
  await delay(4_000); // the lease is over
  process.kill(spawner, "SIGCONT");
  first.kill("SIGKILL");
  await first.exited;
  await using _second = await again(nats, first, { lease: "6s" });
  expect(await c.ended(id)).toMatchObject({ status: "completed", losses: 0, failures: 0 });
});

test("folders of attempts that were being prepared when the agent was killed are removed at its next start", async () => {
  await using nats = await startNats();
  await using first = await spawnAgent(nats, KEEP);
  const left = join(first.workDir, first.name, "attempts", "01M82S052HVDP8K8FASDRBEE8K.1");
  first.kill("SIGKILL");
  await first.exited;
  mkdirSync(join(left, "inputs"), { recursive: true });
  writeFileSync(join(left, "inputs", "half.part"), "x");
  await using _second = await again(nats, first);
  await eventually("it is gone", () => !existsSync(left));
});

test("onDisconnect continue: one whose agent was killed while it was being prepared is tried again, without a person's word", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const { sha256, sizeBytes } = await c.navvy.objects.putBytes(Buffer.alloc(300 * 2 ** 20, "navvy"));
  await using first = await spawnAgent(nats, KEEP);
  const id = await c.submit(["true"], { spec: { onDisconnect: "continue", inputs: { large: { sha256, sizeBytes } } } });
  await eventually("it is being prepared", async () => (await c.record(id)).phase === "preparing", { everyMs: 5 });
  first.kill("SIGKILL");
  await first.exited;
  await using _second = await again(nats, first);
  expect(await c.ended(id)).toMatchObject({ status: "completed", attempt: 2 });
});
