import { expect, test } from "vitest";
import { client, spawnAgent } from "../support/agent.js";
import { BASE_IMAGE } from "../support/docker.js";
import { eventually } from "../support/eventually.js";
import { startNats } from "../support/nats.js";
import { startPodman } from "../support/podman.js";

test("what a container uses is measured by its own cgroup, not by the engine's command, and its summary is kept", async () => {
  await using nats = await startNats();
  await using podman = await startPodman();
  await using c = await client(nats);
  await using _agent = await spawnAgent(nats, { env: podman.env });
  const script = `echo '# From inside' > "$NAVVY_SUMMARY"; echo '{"t":"media","name":"a","text":"b"}' >> "$NAVVY_EVENTS"; while :; do :; done`;
  const id = await c.submit(["sh", "-c", script], { spec: { container: { image: BASE_IMAGE } as never } });
  const { metrics, summary } = await eventually(
    "it is measured twice",
    async () => {
      const { reported } = await c.record(id);
      if ((reported.metrics["system/cpu"]?.count ?? 0) < 2) throw new Error(JSON.stringify([(await c.record(id)).phase, reported]));
      return reported;
    },
    { timeoutMs: 100_000 },
  );
  await c.navvy.tasks.abort(id, { reason: "seen", graceMs: 0 });
  // The command that is attached to it does nothing; others may leave the container little of a core.
  expect(metrics["system/cpu"]?.max).toBeGreaterThan(0.1);
  expect(metrics["system/memory"]?.max).toBeGreaterThan(100_000);
  expect(metrics["system/memory"]?.max).toBeLessThan(20e6);
  expect(Buffer.from(await c.navvy.objects.getBytes(summary?.sha256 ?? "")).toString()).toBe("# From inside\n");
  await c.ended(id);
}, 180_000);
