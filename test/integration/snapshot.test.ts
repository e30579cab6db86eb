import { expect, test } from "vitest";
import { Session, sessionKey, sessionsBucket, snapshot } from "../../broker/index.js";
import { client } from "../support/agent.js";
import { startNats } from "../support/nats.js";

/** Few are read one by one, many by a watch. */
test.each([20, 70])("of %i keys one that is written while the list is on its way is in the list", async (count) => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using writer = await client(nats);
  const sessions = await Promise.all(
    Array.from({ length: count }, (_, i) => Session.open(writer.navvy.bus, { agent: `agent-${i}`, leaseMs: 60_000 })),
  );
  let isOver = false;
  const renewing = sessions.map(async (session) => {
    while (!isOver) await session.renew();
  });
  const bucket = sessionsBucket(c.navvy.bus);
  const keys = sessions.map(({ owner }) => sessionKey(owner)).sort();
  try {
    for (let i = 0; i < 100; i++) {
      const seen = await snapshot(c.navvy.bus, bucket);
      expect(seen.map(({ key }) => key).sort()).toEqual(keys);
    }
  } finally {
    isOver = true;
    await Promise.all(renewing);
  }
});
