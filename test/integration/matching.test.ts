import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));
const TIB = 2 ** 40;

/** What a command of `navvy` prints on both streams until it ends, or until that is seen there. */
async function navvy(url: string, args: string[], until?: string): Promise<{ text: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { ...process.env, NAVVY_SERVER: url }, stdio: ["ignore", "pipe", "pipe"] });
  let text = "";
  return new Promise((resolve) => {
    const end = () => resolve({ text });
    const take = (chunk: Buffer) => {
      text += chunk.toString();
      if (until === undefined || !text.includes(until)) return;
      child.kill("SIGTERM");
      end();
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("close", end);
  });
}

test("a task that fits nobody keeps none behind it waiting, and is taken once an agent comes that it fits", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const picky = await c.submit(["true"], { spec: { resources: { gpus: 0, labels: { rack: "b2" } } } });
  const huge = await c.submit(["true"], { spec: { resources: { gpus: 0, memoryBytes: 900 * TIB } } });
  const contained = await c.submit(["true"], { spec: { container: { image: "alpine" } as never } });
  await using _agent = await spawnAgent(nats, { slots: 1 });
  const plain = await c.submit(["true"]);
  expect((await c.ended(plain)).status).toBe("completed");
  expect((await c.record(picky)).status).toBe("queued");
  await using _labelled = await spawnAgent(nats, { name: "labelled", args: ["--label", "rack=b2"] });
  expect(await c.ended(picky)).toMatchObject({ status: "completed", attempts: [{ agent: "labelled" }] });
  expect((await c.record(huge)).attempt).toBe(0);
  expect((await c.record(contained)).attempt).toBe(0);
});

test("among tasks that fit the queue's order is kept, whatever they ask for", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const kinds = [
    {},
    { cpus: 0.5 },
    {},
    { memoryBytes: 2 ** 20 },
    { cpus: 0.5 },
    {},
    { diskBytes: 2 ** 20 },
    { labels: { rack: "b2" } },
    {},
  ];
  const ids: string[] = [];
  for (const resources of kinds) ids.push(await c.submit(["true"], { spec: { resources: { gpus: 0, ...resources } } }));
  await using _agent = await spawnAgent(nats, { slots: 1, args: ["--label", "rack=b2"] });
  const ended = await Promise.all(ids.map((id) => c.ended(id)));
  const claimed = ended.map((task) => task.attempts[0]?.claimedAt ?? "");
  expect(claimed).toEqual(claimed.toSorted());
});

test("tasks run side by side as far as what they ask for is there, and the rest goes on as it comes free", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, { slots: 4 });
  const { cpus = 0 } = (await c.navvy.fleet.agents())[0]?.record ?? {};
  const most = { gpus: 0, cpus: cpus * 0.6 };
  const first = await c.submit(["sh", "-c", 'until [ -e "$HOME/go" ]; do sleep 0.05; done'], {
    spec: { resources: most, env: { HOME: nats.storeDir } },
  });
  await c.executing(first);
  const second = await c.submit(["true"], { spec: { resources: most } });
  const small = await c.submit(["true"], { spec: { resources: { gpus: 0, cpus: cpus * 0.3 } } });
  await c.ended(small);
  const { text } = await navvy(nats.url, ["why", second]);
  expect(text).toMatch(/of \d+ cpus free, the task needs .*: busy/);
  expect((await c.record(second)).status).toBe("queued");
  await writeFile(`${nats.storeDir}/go`, "");
  expect((await c.ended(second)).status).toBe("completed");
});

test("what a hashed shape asks for stands with its lane, and is written again by whoever publishes on it", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, { args: ["--label", "rack=b2"] });
  const task = await c.navvy.tasks.create({ name: "late", spec: { command: ["true"], resources: { gpus: 0, labels: { rack: "b2" } } } });
  const { shape } = await c.navvy.tasks.enqueue(task.id, { queue: "default", delayMs: 1_500 });
  // As a client of an older navvy leaves it: the lane without its needs, or no entry at all.
  await c.navvy.queues.bucket.delete("default");
  expect((await c.ended(task.id)).status).toBe("completed");
  const entry = await c.navvy.queues.get("default");
  expect(entry.lanes).toContainEqual({ class: "normal", shape, needs: { gpus: 0, labels: { rack: "b2" } } });
});

test("a GPU asked of machines that have none is said within 5 s, with the cause and what to do", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, { name: "plain", args: ["--gpus", "none"] });
  const run = ["run", "--gpus", "1", "--gpu-mem", "40G", "--", "true"];
  const { text } = await navvy(nats.url, run, "on a machine that has it");
  expect(text).toContain("plain serves default: it has no GPU, the task needs 1 GPU of 40 GiB");
  expect(text).toContain("Nobody that is up can ever run it.");
  expect(text).toMatch(/fix: navvy task dequeue \w+ && navvy task edit \w+ --gpus N/);
  // By its own clock, from the enqueue: what the command takes to start on a busy machine does not count.
  expect(Number(/has been queued for (\d+)s/.exec(text)?.[1])).toBeLessThan(5);
  const refused = await navvy(nats.url, ["run", "--require-agent", "--gpus", "1", "--", "true"]);
  expect(refused.text).toContain("no agent that is up can run it: it asks for 1 GPU");
  const slip = await navvy(nats.url, ["run", "--gpu-model", "H100", "--", "true"]);
  expect(slip.text).toContain("--gpu-model is about a GPU, and none was asked for");
  await eventually("it is still queued, nobody took it", async () => (await c.list({ status: "queued" })).length === 1);
});

test("a draft's needs are changed one by one, and shown", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const flags = ["--gpus", "2", "--gpu-mem", "40G", "--cpus", "4", "--mem", "16G", "--disk", "100G", "--label", "rack=b2"];
  await navvy(nats.url, ["task", "create", "--name", "big", ...flags, "--", "true"]);
  await navvy(nats.url, ["task", "edit", "big", "--gpu-model", "H100", "--cpus", "8", "--label", "room=1"]);
  const task = await c.record("big");
  expect(task.spec.resources).toEqual({
    ...{ gpus: 2, gpuMemoryBytes: 40 * 2 ** 30, gpuModel: "H100", cpus: 8 },
    ...{ memoryBytes: 16 * 2 ** 30, diskBytes: 100 * 2 ** 30, labels: { rack: "b2", room: "1" } },
  });
  const needs = "2 H100 GPUs of 40 GiB, 8 cpus, 16 GiB of memory, 100 GiB of disk, rack=b2, room=1";
  expect((await navvy(nats.url, ["task", "show", "big"])).text).toContain(needs);
  await c.navvy.tasks.enqueue(task.id, { queue: "default" });
  expect((await navvy(nats.url, ["queue", "show", "default"])).text).toContain("2 H100 GPUs");
});
