import { randomBytes } from "node:crypto";
import { type GcOptions, type Navvy, Storage } from "../../broker/index.js";
import type { Point } from "../../protocol/index.js";
import type { Client } from "./agent.js";
import { byHand } from "./by-hand.js";

export const DAY_MS = 86_400_000;

/** Garbage collection as it would be in two days. */
export function inTwoDays({ bus, tasks, objects, artifacts, events }: Navvy): Storage {
  return new Storage({ bus, tasks, objects, artifacts, events, clock: () => Date.now() + 2 * DAY_MS });
}

/** Nobody else is in the middle of anything. */
export const quick: GcOptions = { settleMs: 200 };

/** Content that nothing refers to yet. */
export const store = async (c: Client, text: string | Uint8Array = randomBytes(2_000)) => {
  const { sha256, sizeBytes } = await c.navvy.objects.putBytes(Buffer.from(text));
  return { sha256, sizeBytes };
};

/** As a record names it. */
export const artifact = (name: string, of: { sha256: string; sizeBytes: number }, kind?: string) => ({
  name,
  ...of,
  attempt: 1,
  uploadedAt: new Date().toISOString(),
  ...(kind === undefined ? {} : { kind }),
});

/** A task that has ended, with a log, a metric and an artifact. */
export async function ended(
  c: Client,
  options: { name?: string; project?: string; queue?: string; tags?: string[]; ageDays?: number } = {},
) {
  const { ageDays = 0, ...rest } = options;
  const task = await byHand(c, rest);
  await task.print("a log\n");
  const point: Point = { key: "loss", step: 1, value: 0.5, time: Date.now() };
  await c.navvy.metrics.publish({ id: task.id, attempt: 1 }, [point], 0);
  const content = await store(c);
  await task.end({ reported: { artifacts: [artifact("model", content)] } });
  const endedAt = new Date(Date.now() - ageDays * DAY_MS).toISOString();
  await c.navvy.tasks.bucket.modify(task.id, (record) => ({ ...record, endedAt }));
  return { id: task.id, content };
}

/** What is left of a task that `ended` made. */
export const holds = async (c: Client, id: string) => {
  const record = await c.record(id);
  const points = await c.navvy.metrics.series({ id, attempt: 1 }, "loss");
  return { log: (await c.logOf(id)) !== "", metrics: points.length > 0, artifacts: record.reported.artifacts.length > 0 };
};
