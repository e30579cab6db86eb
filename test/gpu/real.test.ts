import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { Machine } from "../../agent/host/machine.js";
import type { Gpu } from "../../protocol/index.js";
import { type Client, client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";

const HOLD = fileURLToPath(new URL("../fixtures/gpu/hold.py", import.meta.url));
const GIB = 2 ** 30;

/** The GPUs of this machine: these tests are only started where there is one (scripts/test-gpu.mjs). */
async function realGpus(folder: string): Promise<Gpu[]> {
  return (await Machine.probe({ workDir: folder, gpus: "all" })).facts.gpus;
}

async function gpusOf(c: Client): Promise<Gpu[]> {
  return (await c.navvy.fleet.agents({ ask: true }))[0]?.beat?.gpus ?? [];
}

/** So much that a GPU with it in use is not taken for idle. */
const muchOf = (gpu: Gpu) => Math.max(2 * GIB, Math.ceil((gpu.memoryTotalBytes ?? 0) * 0.08));

test("nvidia-smi's figures of every GPU are read: name, UUID, memory, use, temperature", async () => {
  await using folder = await tempFolder();
  const gpus = await realGpus(folder.path);
  expect(gpus.length).toBeGreaterThan(0);
  for (const gpu of gpus) {
    expect(gpu).toMatchObject({ name: expect.stringMatching(/./), uuid: expect.stringMatching(/^(GPU|MIG)-/) });
    expect(gpu.memoryTotalBytes).toBeGreaterThan(GIB);
  }
});

test("a CUDA process sees the GPU that it was given and no other, its memory shows in the beat, and it comes back", async () => {
  await using folder = await tempFolder();
  const [gpu] = await realGpus(folder.path);
  await using nats = await startNats();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, { env: { NAVVY_GPU_LOCKS: join(folder.path, "locks") } });
  const go = join(folder.path, "go");
  const hold = (bytes: number) => ["python3", HOLD, String(bytes), go];
  const id = await c.submit(hold(muchOf(gpu!)), { spec: { resources: { gpus: 1 } } });
  const seen = await eventually("it tells what it sees", async () => /^sees (.+)$/m.exec(await c.logOf(id))?.[1]);
  const given = (await c.record(id)).attempts[0]?.gpus ?? [];
  expect(given).toHaveLength(1);
  if (gpu?.mig === undefined) expect([seen]).toEqual(given);
  const shown = await eventually("the beat shows its memory", async () => {
    const found = (await gpusOf(c)).find((each) => each.uuid === given[0]);
    return found?.heldBy === id && (found.memoryUsedBytes ?? 0) >= muchOf(gpu!) && found;
  });
  expect(shown.utilization ?? 0).toBeLessThanOrEqual(100);
  const none = await c.submit(hold(0));
  await c.ended(none);
  expect(await c.logOf(none)).toBe("sees none\n");
  await writeFile(go, "");
  expect((await c.ended(id)).status).toBe("completed");
  const again = await c.submit(hold(0), { spec: { resources: { gpus: 1 } } });
  expect((await c.ended(again)).status).toBe("completed");
});

test("a GPU that another program uses is set aside with that as the reason, and given out when it is gone", async () => {
  await using folder = await tempFolder();
  const gpus = await realGpus(folder.path);
  const [gpu] = gpus;
  const go = join(folder.path, "go");
  const foreign = spawn("python3", [HOLD, String(muchOf(gpu!)), go], { stdio: ["ignore", "pipe", "inherit"] });
  try {
    await once(foreign.stdout, "data");
    await using nats = await startNats();
    await using c = await client(nats);
    await using _agent = await spawnAgent(nats, { env: { NAVVY_GPU_LOCKS: join(folder.path, "locks") } });
    await eventually("it is set aside", async () =>
      (await gpusOf(c)).some((each) => /computes on it|are in use/.test(each.asideReason ?? "")),
    );
    const all = await c.submit(["true"], { spec: { resources: { gpus: gpus.length } } });
    expect((await c.record(all)).attempt).toBe(0);
    await writeFile(go, "");
    await once(foreign, "exit");
    expect((await c.ended(all)).status).toBe("completed");
  } finally {
    foreign.kill("SIGKILL");
  }
});
