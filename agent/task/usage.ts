import { appendFile } from "node:fs/promises";
import type { Claim } from "../../broker/index.js";
import type { Gpu } from "../../protocol/index.js";
import type { Usage, UsageProbe } from "../host/usage.js";
import type { Runner } from "../runners/runner.js";
import type { Companion } from "./companions.js";
import { type AttemptFolder, eventsFile } from "./folder.js";
import { keyOf } from "./key.js";

/** Short tasks are not measured at all. */
const FIRST_AFTER_MS = 2_000;
/** Long ones ever more seldom: some hundred points are enough to see a course by. */
const EVERY_MS = { least: 2_000, most: 15_000 };
const SHARE_OF_AGE = 1 / 30;

export interface TaskUsageParts {
  runner: Pick<Runner, "pidOf">;
  claim: Claim;
  folder: Pick<AttemptFolder, "root">;
  /** Those that it holds, with their figures as last measured for the beat. */
  gpus: () => Gpu[];
}

/** Measures what an attempt's process tree uses, and reports it as metrics `system/…` of the task. */
export class TaskUsage implements Companion {
  readonly name = "usage";
  readonly #parts: TaskUsageParts;
  readonly #since: number;
  #dueAt = Number.POSITIVE_INFINITY;
  #begunAt = 0;
  /** It ran before. */
  #isAdopted = false;
  #probe: UsageProbe | undefined;
  #last: { usage: Usage; atMs: number } | undefined;

  constructor(parts: TaskUsageParts) {
    this.#parts = parts;
    // Steps are seconds since the claim, also for an agent that adopts it.
    this.#since = Date.parse(parts.claim.record.attempts.at(-1)?.claimedAt ?? "") || Date.now();
  }

  async begin(): Promise<void> {
    this.#begunAt = performance.now();
    this.#isAdopted = (await this.#pid()) !== undefined;
    this.#dueAt = this.#begunAt + FIRST_AFTER_MS;
  }

  async turn(): Promise<boolean> {
    const now = performance.now();
    if (now < this.#dueAt) return false;
    this.#dueAt = now + Math.min(EVERY_MS.most, Math.max(EVERY_MS.least, (now - this.#begunAt) * SHARE_OF_AGE));
    const figures = { ...(await this.#processes()), ...this.#gpus() };
    if (Object.keys(figures).length === 0) return false;
    const at = Date.now();
    const line = { t: "scalars", kv: figures, step: Math.round((at - this.#since) / 1000), ts: at / 1000 };
    await appendFile(eventsFile(this.#parts.folder, "system"), `${JSON.stringify(line)}\n`);
    return false; // it is taken in when it is; nothing is to be hastened
  }

  async #processes(): Promise<Record<string, number>> {
    this.#probe ??= await this.#find();
    const usage = this.#probe?.read();
    if (!usage) return {};
    const last = this.#last;
    const atMs = performance.now();
    this.#last = { usage, atMs };
    return {
      "system/memory": usage.memoryBytes,
      ...peakOf(usage),
      ...(last && ratesBetween(last.usage, usage, (atMs - last.atMs) / 1000)),
    };
  }

  async #find(): Promise<UsageProbe | undefined> {
    const pid = await this.#pid();
    if (pid === undefined) return undefined;
    const { UsageProbe: Probe } = await import("../host/usage.js");
    // Rates need two readings. What began with us began with nothing.
    if (!this.#isAdopted) this.#last = { usage: NOTHING, atMs: this.#begunAt };
    return new Probe(pid);
  }

  #pid(): Promise<number | undefined> {
    return this.#parts.runner.pidOf(keyOf(this.#parts.claim));
  }

  #gpus(): Record<string, number> {
    const figures: Record<string, number> = {};
    for (const { index, utilization, memoryUsedBytes, temperatureC, powerW } of this.#parts.gpus()) {
      const of = { util: utilization, memory: memoryUsedBytes, temperature: temperatureC, power: powerW };
      for (const [what, figure] of Object.entries(of)) if (figure !== undefined) figures[`system/gpu${index}/${what}`] = figure;
    }
    return figures;
  }
}

const NOTHING: Usage = { cpuSeconds: 0, memoryBytes: 0, readBytes: 0, writtenBytes: 0 };

const peakOf = ({ peakBytes }: Usage) => (peakBytes === undefined ? undefined : { "system/memory_peak": peakBytes });

function ratesBetween(before: Usage, now: Usage, seconds: number): Record<string, number> {
  const rate = (name: "cpuSeconds" | "readBytes" | "writtenBytes") => Math.max(0, now[name] - before[name]) / Math.max(seconds, 0.001);
  return { "system/cpu": rate("cpuSeconds"), "system/io_read": rate("readBytes"), "system/io_write": rate("writtenBytes") };
}
