import { execFileSync } from "node:child_process";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";
import { canMount, smallDisk } from "../support/small-disk.js";

test.runIf(canMount)(
  "a task that fills the disk fails by itself; the agent says why it takes nothing, and goes on when there is room",
  async () => {
    await using nats = await startNats();
    await using c = await client(nats);
    await using disk = await smallDisk(320);
    await using agent = await spawnAgent(nats, { workDir: disk.path, slots: 2 });
    const filler = await c.submit(["sh", "-c", "dd if=/dev/zero of=fill bs=1M 2>/dev/null || echo full; sleep 12"]);
    await eventually("the agent says why", async () => {
      const beat = (await c.navvy.fleet.agents({ ask: true }))[0]?.beat;
      return beat?.reason?.includes("disk free") === true;
    });
    const next = await c.submit(["echo", "room again"]);
    await new Promise((resolve) => setTimeout(resolve, 1_000)); // it must not be taken meanwhile
    expect((await c.record(next)).status).toBe("queued");
    expect((await c.ended(filler)).status).toBe("completed");
    expect(await c.ended(next, 40_000)).toMatchObject({ status: "completed", attempt: 1 });
    expect(agent.process.exitCode).toBeNull();
  },
);

test.runIf(canMount)(
  "a small NATS store is set up all the same; when it is full, an upload is refused with the cause and records go on",
  async () => {
    await using disk = await smallDisk(64);
    await using nats = await startNats({ storeDir: disk.path });
    await using c = await client(nats);
    const error = await c.navvy.objects.putBytes(new Uint8Array(90 * 2 ** 20)).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: expect.stringMatching(/disk_full|timeout/) }); // 2.9 goes silent on a full disk
  },
);

test.runIf(canMount)(
  "a server whose disk is full in mid-task: the agent waits and says so; after room and a restart nothing is missing",
  { timeout: 120_000 },
  async () => {
    await using disk = await smallDisk(96);
    await using nats = await startNats({ storeDir: disk.path, config: "jetstream { max_file_store: 1GB }" });
    await using c = await client(nats);
    await using agent = await spawnAgent(nats, { lease: "6s" });
    const id = await c.submit([
      "sh",
      "-c",
      'i=0; while [ $i -lt 150 ]; do echo "line $i"; i=$((i+1)); sleep 0.1; done; echo x > "$NAVVY_ARTIFACTS/x"; exit 3',
    ]);
    await eventually("it prints", async () => (await c.logOf(id)).includes("line 3"));
    const filler = join(disk.path, "filler");
    execFileSync("sh", ["-c", 'dd if=/dev/zero of="$0" bs=64k 2>/dev/null; dd if=/dev/zero of="$0.2" bs=512 2>/dev/null; true', filler]);
    await eventually("the agent says what waits", () => agent.log.some((line) => line.includes("can not be stored and wait")), {
      timeoutMs: 40_000,
    });
    await rm(filler);
    await rm(`${filler}.2`);
    await nats.restart();
    const done = await c.ended(id, 60_000);
    expect(done).toMatchObject({ status: "failed", attempt: 1, losses: 0, outcome: { code: 3 }, reported: { artifacts: [{ name: "x" }] } });
    expect(await c.logOf(id)).toBe(Array.from({ length: 150 }, (_, i) => `line ${i}\n`).join(""));
  },
);
