import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { type AgentProcess, type Client, client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { type LoadOptions, submitLoad } from "../support/load.js";
import { type Nats, startNats } from "../support/nats.js";

/** Two agents in the middle of a load, and what then happens to their server. */
async function underLoad(
  options: Omit<LoadOptions, "folder"> & { lease?: string },
  fault: (bed: { nats: Nats; c: Client; agents: AgentProcess[] }) => Promise<void>,
): Promise<void> {
  const { lease = "30s", ...size } = options;
  await using folder = await tempFolder();
  await using nats = await startNats();
  await using c = await client(nats);
  await using one = await spawnAgent(nats, { slots: 4, lease });
  await using two = await spawnAgent(nats, { slots: 4, lease });
  const load = await submitLoad(c, { folder: folder.path, ...size });
  await eventually("the load runs", async () => (await load.begun()) > 10, { timeoutMs: 20_000 });
  await fault({ nats, c, agents: [one, two] });
  await load.check(c, { timeoutMs: 120_000 });
  for (const agent of [one, two]) expect(agent.log.filter((line) => /"level":[56]0/.test(line))).toEqual([]);
}

test(
  "a server that is restarted in good order, three times in mid-load, loses nothing and nothing is done twice",
  { timeout: 120_000 },
  () =>
    underLoad({ short: 120 }, async ({ nats }) => {
      for (let i = 0; i < 3; i++) {
        await nats.restart();
        await delay(700); // some work between two restarts
      }
    }),
);

test(
  "a server killed with -9, three times in mid-load and in mid-upload, loses nothing and nothing is done twice",
  { timeout: 120_000 },
  () =>
    underLoad({ short: 120, chatty: 6 }, async ({ nats }) => {
      for (let i = 0; i < 3; i++) {
        await nats.kill("SIGKILL");
        await delay(400); // the outage itself
        await nats.restart();
        await delay(900); // work in between: the second and third hit the uploads
      }
    }),
);

test(
  "a server that is frozen for a minute in mid-load: tasks wait, the same attempts go on, nothing is missing",
  { timeout: 240_000 },
  () =>
    underLoad({ lease: "15s", short: 60 }, async ({ nats, c, agents }) => {
      nats.pause();
      await delay(60_000); // the minute itself
      nats.resume();
      await eventually("both agents serve on", async () => (await c.navvy.fleet.agents()).filter((one) => one.isUp).length === 2, {
        timeoutMs: 30_000,
      });
      expect(agents.flatMap((agent) => agent.log.filter((line) => line.includes("revoked")))).toEqual([]);
    }),
);

test("a server that answers in one tenth of the time, for 20 s of a load, slows it down and breaks nothing", { timeout: 180_000 }, () =>
  underLoad({ lease: "15s", short: 80 }, async ({ nats }) => {
    for (let i = 0; i < 20; i++) {
      nats.pause();
      await delay(900);
      nats.resume();
      await delay(100);
    }
  }),
);
