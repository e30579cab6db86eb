import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { explain } from "../../cli/why.js";
import type { Gpu } from "../../protocol/index.js";
import { type Client, client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { fakeGpuList, fakeGpus } from "../support/fake-gpus.js";
import { startNats } from "../support/nats.js";

/** Says which GPUs it sees, and goes on until the file is there. */
const until = (file: string) => [
  "sh",
  "-c",
  `echo "$CUDA_VISIBLE_DEVICES|$NVIDIA_VISIBLE_DEVICES"; until [ -e '${file}' ]; do sleep 0.05; done`,
];
const gpuTask = (c: Client, command: string[], resources: object) => c.submit(command, { spec: { resources: { gpus: 1, ...resources } } });

async function gpusOf(c: Client, agent: string): Promise<Gpu[]> {
  const views = await c.navvy.fleet.agents({ ask: true });
  return views.find((view) => view.record.name === agent)?.beat?.gpus ?? [];
}

test("an agent with eight GPUs runs eight tasks, each of which sees its own and no other", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using fake = await fakeGpus(fakeGpuList(8));
  await using agent = await spawnAgent(nats, { slots: 8, env: fake.env });
  const go = join(fake.folder, "go");
  const ids = await Promise.all(Array.from({ length: 9 }, () => gpuTask(c, until(go), {})));
  const running = await eventually("eight run", async () => {
    const tasks = await c.list({ status: "running" });
    return tasks.length === 8 && tasks.every((task) => task.phase === "executing") && tasks;
  });
  const seen = await Promise.all(
    running.map((task) => eventually(`${task.id} has said it`, async () => (await c.logOf(task.id)).trim() || false)),
  );
  expect(seen.toSorted()).toEqual(Array.from({ length: 8 }, (_, i) => `${i}|GPU-${"abcdefgh"[i]}`));
  for (const task of running) expect(task.attempts[0]?.gpus).toHaveLength(1);
  expect(new Set(running.flatMap((task) => task.attempts[0]?.gpus)).size).toBe(8);
  expect(new Set((await gpusOf(c, agent.name)).map((gpu) => gpu.heldBy))).toEqual(new Set(running.map((task) => task.id)));
  const none = await c.submit(["sh", "-c", 'echo "[$CUDA_VISIBLE_DEVICES]"']);
  await writeFile(go, "");
  await Promise.all([...ids, none].map((id) => c.ended(id)));
  expect(await c.logOf(none)).toBe("[]\n");
  await eventually("all locks are given back", async () => (await readdir(join(fake.folder, "locks"))).length === 0);
});

test("two agents of one host share its GPUs and never one of them, unless they are told to", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using fake = await fakeGpus(fakeGpuList(2));
  await using first = await spawnAgent(nats, { name: "first", queues: ["one"], env: fake.env });
  await using _second = await spawnAgent(nats, { name: "second", queues: ["two"], env: fake.env });
  const [goOne, goTwo] = [join(fake.folder, "go-one"), join(fake.folder, "go-two")];
  const one = await c.submit(until(goOne), { queue: "one", spec: { resources: { gpus: 1 } } });
  await c.executing(one);
  const both = await c.submit(until(goTwo), { queue: "two", spec: { resources: { gpus: 2 } } });
  const single = await c.submit(until(goTwo), { queue: "two", spec: { resources: { gpus: 1 } } });
  await c.executing(single);
  expect((await c.record(single)).attempts[0]?.gpus).not.toEqual((await c.record(one)).attempts[0]?.gpus);
  expect((await c.record(both)).status).toBe("queued");
  await eventually("it is told who holds the other", async () =>
    (await gpusOf(c, "second")).some((gpu) => gpu.asideReason === `agent first on this host holds it for task ${one.slice(-6)}`),
  );
  await using _sharing = await spawnAgent(nats, { name: "sharing", queues: ["three"], env: fake.env, args: ["--share-gpus"] });
  const shared = await c.submit(["true"], { queue: "three", spec: { resources: { gpus: 2 } } });
  expect((await c.ended(shared)).status).toBe("completed");
  await Promise.all([writeFile(goOne, ""), writeFile(goTwo, "")]);
  expect((await c.ended(both)).attempts[0]?.gpus).toHaveLength(2);
  expect(first.log.filter((line) => line.includes('"level":50'))).toEqual([]);
}, 120_000);

test("what a killed agent left running goes on holding its GPU, for others on the host and for its next start", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using fake = await fakeGpus(fakeGpuList(1));
  const go = join(fake.folder, "go");
  const first = await spawnAgent(nats, { name: "first", env: fake.env, workDir: fake.folder, lease: "20s", adoptWithin: "30s" });
  const held = await gpuTask(c, until(go), {});
  await c.executing(held);
  first.kill("SIGKILL");
  await first.exited;
  await using _other = await spawnAgent(nats, { name: "other", env: fake.env, lease: "20s" });
  const waiting = await gpuTask(c, ["true"], {});
  await eventually(
    "the other agent knows who holds it",
    async () => (await gpusOf(c, "other"))[0]?.asideReason?.includes("agent first") ?? false,
  );
  await using _again = await spawnAgent(nats, { name: "first", env: fake.env, workDir: fake.folder, lease: "20s" });
  await eventually("it is adopted with its GPU", async () => (await gpusOf(c, "first"))[0]?.heldBy === held);
  expect((await gpusOf(c, "other"))[0]?.asideReason).toContain("agent first");
  expect((await c.record(waiting)).status).toBe("queued");
  await writeFile(go, "");
  expect(await c.ended(held)).toMatchObject({ status: "completed", attempt: 1 });
  expect((await c.ended(waiting)).status).toBe("completed");
  await first[Symbol.asyncDispose]();
});

test("while nvidia-smi hangs no GPU is given out, tasks without one go on, and why says so; it goes on when it answers", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using fake = await fakeGpus(fakeGpuList(2));
  await using agent = await spawnAgent(nats, { env: fake.env });
  const go = join(fake.folder, "go");
  const before = await gpuTask(c, until(go), { gpus: 2 });
  await c.executing(before);
  await fake.hang(true);
  await writeFile(go, "");
  await c.ended(before);
  const wants = await gpuTask(c, ["true"], {});
  const plain = await c.submit(["true"]);
  expect((await c.ended(plain)).status).toBe("completed");
  await eventually("both are set aside", async () =>
    (await gpusOf(c, agent.name)).every((gpu) => gpu.asideReason?.startsWith("nvidia-smi gave no answer within")),
  );
  expect((await c.record(wants)).attempt).toBe(0);
  const why = explain({ task: await c.record(wants), waiting: [], agents: await c.navvy.fleet.agents({ ask: true }), nowMs: Date.now() });
  expect(why.facts.join("\n")).toMatch(/0 of 2 GPUs free, the task needs 1: GPU 0 is set aside: nvidia-smi gave no answer within 5000 ms/);
  await fake.hang(false);
  expect((await c.ended(wants)).status).toBe("completed");
});

test("GPUs are matched by memory and model: the smallest that suits is given, and a foreign process keeps one back", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  const [a, b, d] = fakeGpuList(3);
  await using fake = await fakeGpus([
    a!,
    { ...b!, name: "NVIDIA A10G", totalMib: 23_028 },
    { ...d!, name: "NVIDIA A10G", totalMib: 23_028 },
  ]);
  await fake.processes([{ uuid: "GPU-b", pid: 1, name: "other" }]);
  await using _agent = await spawnAgent(nats, { slots: 4, env: fake.env });
  const see = ["sh", "-c", 'echo "$CUDA_VISIBLE_DEVICES"'];
  const kinds = [{}, { gpuMemoryBytes: 24 * 2 ** 30 }, { gpuMemoryBytes: 80 * 2 ** 30 }, { gpuModel: "h100" }, { gpuModel: "A10G" }];
  const seen: string[] = [];
  for (const kind of kinds) {
    const id = await gpuTask(c, see, kind);
    await c.ended(id);
    seen.push((await c.logOf(id)).trim());
    // Its GPU is free a moment after its end is on the record.
    await eventually("the agent is idle", async () => (await c.navvy.fleet.agents({ ask: true }))[0]?.beat?.state === "idle");
  }
  expect(seen).toEqual(["2", "2", "0", "0", "2"]);
});
