/**
 * That no byte of a log is lost or doubled, at sizes and over outages that are too long for the tests: sha256 of what a task wrote
 * against sha256 of what `navvy logs --raw` prints.
 *
 *   npx tsx bench/log-rounds.ts [--only NAME] [--away SECONDS]
 *
 * - `gib`: 1 GiB of random bytes
 * - `line`: 64 MiB without a newline
 * - `text`: 64 MiB of text with bytes in it that are no UTF-8
 * - `away`: NATS is away for minutes in mid-way, with a follower that waits for it
 * - `killed`: 256 MiB, the agent is killed three times in mid-way
 */
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type AgentProcess, client, spawnAgent } from "../test/support/agent.js";
import { type Nats, startNats } from "../test/support/nats.js";
import { report } from "./fleet.js";

const { values } = parseArgs({ options: { only: { type: "string" }, away: { type: "string", default: "180" } } });
const NAVVY = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const HOUR_MS = 3_600_000;
const KEEP = { adoptWithin: "600s", lease: "6s", args: ["--runtime", "process"] };

interface Ground {
  nats: Nats;
  agent: AgentProcess;
}

interface Round {
  /** Makes the source: a script for sh, `$0` is the file. */
  make: string;
  /** The task's script; the same file as `$0`. */
  print: string;
  /** What happens in mid-way. */
  during?: (ground: Ground) => Promise<void>;
}

const slowly = 'i=0; while [ $i -lt 256 ]; do dd "if=$0" bs=1048576 count=1 skip=$i 2>/dev/null; i=$((i+1)); sleep 0.05; done';
const rounds: Record<string, Round> = {
  gib: { make: 'head -c 1073741824 /dev/urandom > "$0"', print: 'cat "$0"' },
  line: { make: 'head -c 67108864 /dev/zero | tr "\\0" x > "$0"', print: 'cat "$0"' },
  text: { make: '(yes "$(printf \'t\\303\\244xt \\377\\376\\303(\\r\')" | head -c 67108864) > "$0"', print: 'cat "$0"' },
  away: { make: 'head -c 268435456 /dev/urandom > "$0"', print: slowly, during: natsAway },
  killed: { make: 'head -c 268435456 /dev/urandom > "$0"', print: slowly, during: agentKilled },
};

async function natsAway({ nats }: Ground): Promise<void> {
  await nats.kill("SIGKILL");
  await delay(Number(values.away) * 1_000);
  await nats.restart();
}

async function agentKilled({ nats, agent }: Ground): Promise<void> {
  for (let i = 0, current = agent; i < 3; i++) {
    await delay(3_000);
    current.kill("SIGKILL");
    await current.exited;
    current = await spawnAgent(nats, { name: agent.name, workDir: agent.workDir, ...KEEP });
    if (i === 2) successors.push(current);
  }
}

const successors: AgentProcess[] = [];
const rows = [];
for (const [name, round] of Object.entries(rounds))
  if (values.only === undefined || values.only === name) rows.push(await play(name, round));
await report("log-rounds", rows, { awaySeconds: Number(values.away) });
if (rows.some((row) => row.live !== "yes" || row.stored !== "yes")) process.exitCode = 1;

async function play(name: string, round: Round): Promise<Record<string, string | number>> {
  const folder = await mkdtemp(join(process.cwd(), "bench", "results", "log-round-"));
  const source = join(folder, "source");
  await using nats = await startNats();
  await using c = await client(nats);
  await using agent = await spawnAgent(nats, KEEP);
  execFileSync("sh", ["-c", round.make, source]); // after the start: what is written then keeps the disk busy
  const started = performance.now();
  const id = await c.submit(["sh", "-c", round.print, source]);
  const { child, hash: following } = printed(nats, id, "-f");
  await Promise.race([once(child.stdout, "data"), following]);
  await round.during?.({ nats, agent });
  const done = await c.ended(id, HOUR_MS);
  const [live, stored, written] = [await following, await printed(nats, id).hash, await hashOf(createReadStream(source))];
  for (const successor of successors.splice(0)) await successor[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
  const same = (hash: string) => (hash === written ? "yes" : "NO");
  return {
    name,
    live: same(live),
    stored: same(stored),
    status: done.status,
    attempt: done.attempt,
    seconds: Math.round((performance.now() - started) / 1000),
  };
}

/** `navvy logs --raw`, and sha256 of what it prints. */
function printed(nats: Nats, ...args: string[]) {
  const child = spawn(process.execPath, [NAVVY, "logs", "--raw", ...args], {
    env: { ...process.env, NAVVY_SERVER: nats.url },
    stdio: ["ignore", "pipe", "inherit"],
  });
  return { child, hash: hashOf(child.stdout) };
}

async function hashOf(stream: NodeJS.ReadableStream): Promise<string> {
  const hash = createHash("sha256");
  stream.on("data", (chunk: Buffer) => hash.update(chunk));
  await once(stream, "end");
  return hash.digest("hex");
}
