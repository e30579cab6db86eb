import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { ArtifactUploads } from "../../agent/task/artifact-uploads.js";
import { Objects } from "../../broker/objects.js";
import { client, spawnAgent } from "../support/agent.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";
import { canMount, smallDisk } from "../support/small-disk.js";

test.runIf(canMount)("a disk that is full while a task reports and ends costs none of its reports and not its outcome", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using disk = await smallDisk(320);
  await using _agent = await spawnAgent(nats, { workDir: disk.path });
  const fill = join(disk.path, "fill");
  const scalar = `echo '{"t":"scalar","k":"x","v":1}' >> "$NAVVY_EVENTS"`;
  const id = await c.submit([
    "sh",
    "-c",
    `for i in 1 2 3 4 5 6 7 8 9 10; do ${scalar}; echo line $i; sleep 0.2; done
    dd if=/dev/zero of="${fill}" bs=1M 2>/dev/null; dd if=/dev/zero of="${fill}.2" bs=512 2>/dev/null
    sleep 0.5; ${scalar}; sleep 1.5; ${scalar}; echo last; exit 3`,
  ]);
  const done = await c.ended(id);
  expect(done).toMatchObject({ status: "failed", attempt: 1, losses: 0, outcome: { kind: "exited", code: 3 } });
  expect(done.reported.metrics.x?.count).toBe(12);
  expect(await c.logOf(id)).toBe([...Array.from({ length: 10 }, (_, i) => `line ${i + 1}`), "last", ""].join("\n"));
});

test("an artifact that is reported while NATS is away longer than an upload waits is stored when it is back", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  const path = join(folder.path, "early");
  writeFileSync(path, "saved");
  const uploads = new ArtifactUploads(new Objects(c.navvy.bus, { patienceMs: 500 }), { attempt: 1 });
  nats.pause();
  const early = uploads.uploadEarly("early", path);
  await delay(5_000);
  nats.resume();
  expect(await early).toMatchObject({ name: "early", sizeBytes: 5 });
});

test("an artifact that is reported early and cut short is not waited for", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using folder = await tempFolder();
  const path = join(folder.path, "early");
  writeFileSync(path, "saved");
  const cut = new AbortController();
  const uploads = new ArtifactUploads(new Objects(c.navvy.bus, { patienceMs: 500 }), { attempt: 1, signal: cut.signal });
  nats.pause();
  const early = uploads.uploadEarly("early", path).catch(() => undefined);
  cut.abort();
  expect(await early).toBeUndefined();
  nats.resume();
});
