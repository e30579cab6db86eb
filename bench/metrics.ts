/**
 * Points of a metric from one task through its agent into the store, as fast as they come; and what 1,000 points a second cost the
 * agent, beside one that runs a silent task and one that is idle, over the same seconds.
 * Aims: at least 20,000 points/s on two cores; at most 5 % of a core more than idle.
 *
 *   npx tsx bench/metrics.ts [--points N] [--rounds N] [--seconds N]
 */
import { parseArgs } from "node:util";
import { type BenchFleet, median, processorSeconds, report, residentBytes, startFleet } from "./fleet.js";

const { values } = parseArgs({
  options: {
    points: { type: "string", default: "200000" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "20" },
  },
});
const count = Number(values.points);
const seconds = Number(values.seconds);

/** One line for each point, as programs write them; the writing itself is no part of what is measured, so it goes first. */
const FLOOD = `awk 'BEGIN { for (i = 0; i < ${count}; i++) printf "{\\"t\\":\\"scalar\\",\\"k\\":\\"loss\\",\\"v\\":%d.5,\\"step\\":%d}\\n", i, i }' > "$NAVVY_DIR/made"
mv "$NAVVY_DIR/made" "$NAVVY_DIR/events-flood.jsonl"; exec sleep 600`;
/** 100 lines ten times a second. */
const STEADY = `python3 -c '
import os, time
events, step, due = open(os.environ["NAVVY_EVENTS"], "a", buffering=1), 0, time.monotonic()
while True:
  for _ in range(100):
    events.write("{\\"t\\":\\"scalar\\",\\"k\\":\\"loss\\",\\"v\\":%f,\\"step\\":%d}\\n" % (1 / (step + 1), step)); step += 1
  due += 0.1; time.sleep(max(0, due - time.monotonic()))'`;

const rows = [await throughput(), ...(await processorTime())];
await report("metrics", rows, { points: count, seconds });

/** From the first point that the store has to the last. */
async function throughput(): Promise<Record<string, string | number>> {
  await using fleet = await startFleet({ slots: 2 });
  const pid = fleet.agent.pid ?? 0;
  const rates = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const id = await submit(fleet, FLOOD);
    let first = 0;
    let got = 0;
    const over = new AbortController();
    for await (const batch of fleet.navvy.metrics.read({ id, attempt: 1 }, { follow: true, signal: over.signal })) {
      const points = batch.filter((point) => point.key === "loss");
      if (points.length > 0 && first === 0) first = performance.now();
      else got += points.length;
      if (points.at(-1)?.step === count - 1) over.abort();
    }
    rates.push((got * 1000) / (performance.now() - first));
    console.error(`round ${round + 1}: ${Math.round(rates.at(-1) ?? 0)} points/s`);
    await end(fleet, id);
  }
  const mib = Math.round((await residentBytes(pid)) / 2 ** 20);
  return {
    figure: "points/s into the store (median)",
    value: Math.round(median(rates)),
    rounds: rates.map(Math.round).join(" "),
    "agent MiB": mib,
  };
}

async function processorTime(): Promise<Record<string, string | number>[]> {
  await using steady = await startFleet({ slots: 2 });
  await using silent = await startFleet({ slots: 2 });
  await using idle = await startFleet({ slots: 2 });
  const id = await submit(steady, STEADY);
  const sleeper = await submit(silent, "exec sleep 600");
  await new Promise((resolve) => setTimeout(resolve, 5_000)); // what a start costs is over by then
  const fleets = { "1,000 points/s": steady, "a silent task": silent, idle };
  const used = async () => Promise.all(Object.values(fleets).map((fleet) => processorSeconds(fleet.agent.pid ?? 0)));
  const stored = async () => (await steady.navvy.metrics.series({ id, attempt: 1 }, "loss")).length;
  const [before, pointsBefore, startedAt] = [await used(), await stored(), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const [after, elapsed] = [await used(), (performance.now() - startedAt) / 1000];
  const rate = Math.round(((await stored()) - pointsBefore) / elapsed);
  await Promise.all([end(steady, id), end(silent, sleeper)]);
  return Object.keys(fleets).map((figure, i) => ({
    figure: `agent with ${figure}, % of a core`,
    value: Number(((100 * ((after[i] ?? 0) - (before[i] ?? 0))) / elapsed).toFixed(2)),
    ...(i === 0 ? { rounds: `${rate} points/s stored` } : {}),
  }));
}

async function submit({ navvy }: BenchFleet, script: string): Promise<string> {
  const task = await navvy.tasks.create({ name: "points", spec: { command: ["sh", "-c", script] } });
  await navvy.tasks.enqueue(task.id, { queue: "default" });
  return task.id;
}

/** An agent that is told to end waits for what it runs. */
async function end({ navvy }: BenchFleet, id: string): Promise<void> {
  await navvy.tasks.abort(id, { reason: "measured", graceMs: 0 });
  await navvy.tasks.wait(id, { timeoutMs: 60_000 });
}
