import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { defaultCacheDir } from "../../broker/server/index.js";
import { type Client, client, spawnAgent } from "../support/agent.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";

const LIBRARIES = ["x86_64-linux-gnu", "aarch64-linux-gnu"].map((machine) => `/usr/lib/${machine}/faketime/libfaketimeMT.so.1`);
const CACHE = join(defaultCacheDir(process.env), "faketime");

/** The installed library, else one that is unpacked into the cache, without root. A test without it fails and says what to do. */
function findLibrary(): string {
  const places = [...LIBRARIES, ...LIBRARIES.map((path) => join(CACHE, path))];
  const found = places.find((path) => existsSync(path));
  if (found) return found;
  mkdirSync(CACHE, { recursive: true });
  const script = "apt-get download -qq libfaketime && dpkg-deb -x libfaketime_*.deb .";
  const { stderr } = spawnSync("sh", ["-c", script], { cwd: CACHE, encoding: "utf8" });
  const fetched = places.find((path) => existsSync(path));
  if (fetched) return fetched;
  throw new Error(
    `this test needs libfaketime, to change the time of day of one process, and it can not be fetched: ${stderr}\nfix: apt-get update && apt-get install faketime`,
  );
}

/** A time of day that a test can change under a running process. Its monotonic clock goes on as it is, as on a real machine. */
interface Clock extends AsyncDisposable {
  env: Record<string, string>;
  /** Resolves when the agent itself says that its clock has jumped. */
  jump(c: Client, offsetS: number): Promise<void>;
}

async function clock(agent: string): Promise<Clock> {
  const library = findLibrary();
  const folder = await tempFolder();
  const file = join(folder.path, "offset");
  await writeFile(file, "+0");
  return {
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      DONT_FAKE_MONOTONIC: "1",
    },
    jump: async (c, offsetS) => {
      await writeFile(file, `${offsetS < 0 ? "" : "+"}${offsetS}`);
      await eventually(`the clock of ${agent} jumps by ${offsetS} s`, async () => {
        const views = await c.navvy.fleet.agents({ ask: true });
        const at = Date.parse(views.find((view) => view.record.name === agent)?.beat?.at ?? "");
        return Math.abs(at - Date.now() - offsetS * 1_000) < 60_000;
      });
    },
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  };
}

const HOUR_S = 3_600;
/** In seconds from the true time of day, and back at the end. */
const JUMPS = [5 * HOUR_S, -7 * HOUR_S, 0, -24 * HOUR_S, 700 * HOUR_S, 0];
/** Prints a line every 100 ms for 9 s. */
const TICKER = ["sh", "-c", 'i=0; while [ $i -lt 90 ]; do echo "line $i"; i=$((i+1)); sleep 0.1; done'];

test("a clock that jumps by hours under an agent takes no lease away and stops no task", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using time = await clock("jumper");
  await using agent = await spawnAgent(nats, { name: "jumper", env: time.env, lease: "3s" });
  await using other = await spawnAgent(nats, { lease: "3s", queues: ["other"] });
  const id = await c.submit(TICKER);
  const limited = await c.submit(["sleep", "1000"], { spec: { timeLimitMs: 4_000, graceMs: 0 } });
  await c.executing(id);
  await c.executing(limited);
  for (const [i, offsetS] of JUMPS.entries()) {
    await time.jump(c, offsetS);
    await eventually("it prints on", async () => (await c.logOf(id)).includes(`line ${(i + 1) * 12}\n`));
  }
  expect(await c.ended(id)).toMatchObject({ status: "completed", attempt: 1, losses: 0 });
  expect(await c.logOf(id)).toBe(Array.from({ length: 90 }, (_, i) => `line ${i}\n`).join(""));
  const done = await c.ended(limited);
  expect(done).toMatchObject({ status: "failed", outcome: { kind: "timed_out" }, attempt: 1, losses: 0 });
  for (const one of [agent, other]) expect(one.log.filter((line) => /revoked|frozen|"level":50/.test(line))).toEqual([]);
});

test("a clock that jumps by hours under the coordinator loses no agent", async () => {
  await using nats = await startNats();
  await using c = await client(nats);
  await using time = await clock("jumper");
  await using leader = await spawnAgent(nats, { name: "jumper", env: time.env, lease: "3s", queues: ["none"], services: 0 });
  await eventually("it leads", () => leader.log.some((line) => line.includes("coordinates")));
  await using worker = await spawnAgent(nats, { lease: "3s" });
  const id = await c.submit(TICKER);
  await c.executing(id);
  for (const offsetS of JUMPS) await time.jump(c, offsetS);
  expect(await c.ended(id)).toMatchObject({ status: "completed", attempt: 1, losses: 0 });
  for (const one of [leader, worker]) expect(one.log.filter((line) => /revoked|"level":50/.test(line))).toEqual([]);
});

// Fails for as long as the scheduler and the sweeper take the time of day for the passing of time.
