import { expect, test } from "vitest";
import { startNats } from "../test/support/nats.js";
import { connect, Puller } from "./index.js";

test("a pull whose signal has fired before it began ends at once", async () => {
  await using nats = await startNats();
  await using navvy = await connect({ servers: nats.url });
  const stream = navvy.bus.assets.streams.log.name;
  const { name: consumer } = await navvy.bus.jsm.consumers.add(stream, { ack_policy: "none" as never, inactive_threshold: 60e9 });
  const puller = new Puller(navvy.bus);
  const startedMs = performance.now();
  const end = await puller.pull({ stream, consumer, batch: 1, expiresMs: 10_000, signal: AbortSignal.abort(), onMessage: () => {} });
  expect(end).toBe("drained");
  expect(performance.now() - startedMs).toBeLessThan(5_000);
  puller.close();
});
