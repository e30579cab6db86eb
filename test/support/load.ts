import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { TaskRecord } from "../../protocol/index.js";
import type { Client } from "./agent.js";

export interface LoadOptions {
  /** Where every attempt writes that it ran. */
  folder: string;
  /** Tasks that only say that they ran. Default 40. */
  short?: number;
  /** Tasks that print, report and leave a file. Default 4. */
  chatty?: number;
  /** Lines and points of a chatty task, one every 20 ms. Default 150. */
  lines?: number;
}

/** Work under way whose every trace is known ahead, so that a fault that loses or doubles one is seen. */
export interface Load {
  ids: string[];
  /** How many attempts have begun. */
  begun(): Promise<number>;
  /**
   * Waits for every end, then holds every trace against what it must be. `mayMissClaims`: the answer to a claim may be lost with the server
   * that led: such an attempt never began, and counts as lost.
   */
  check(c: Client, options?: { timeoutMs?: number; mayMissClaims?: boolean }): Promise<void>;
}

const ARTIFACT_LINES = 300_000;
/** Seven digits and a newline each. */
const ARTIFACT = Array.from({ length: ARTIFACT_LINES }, (_, i) => `${1_000_000 + i}\n`).join("");

/** Submits it all; what happens next is the test's business. */
export async function submitLoad(c: Client, options: LoadOptions): Promise<Load> {
  const { folder, short = 40, chatty = 4, lines = 150 } = options;
  const ran = join(folder, "ran");
  const begin = `echo "$NAVVY_TASK_ID.$NAVVY_ATTEMPT" >> '${ran}'`;
  const chat = [
    begin,
    `i=0; while [ $i -lt ${lines} ]; do echo "line $i"; echo "{\\"t\\":\\"scalar\\",\\"k\\":\\"x\\",\\"v\\":$i,\\"step\\":$i}" >> "$NAVVY_EVENTS"; i=$((i+1)); sleep 0.02; done`,
    `seq 1000000 ${1_000_000 + ARTIFACT_LINES - 1} > "$NAVVY_ARTIFACTS/numbers.txt"`,
    "exit 3",
  ].join("\n");
  const chattyIds = await Promise.all(Array.from({ length: chatty }, () => c.submit(["sh", "-c", chat], { class: "high" })));
  const shortIds = await Promise.all(
    Array.from({ length: short }, () => c.submit(["sh", "-c", `${begin}; echo "$NAVVY_TASK_ID"; sleep 0.1`])),
  );
  const runs = async () => (await readFile(ran, "utf8").catch(() => "")).split("\n").filter(Boolean);
  const ids = [...chattyIds, ...shortIds];
  return {
    ids,
    begun: async () => (await runs()).length,
    check: async (c, { timeoutMs = 60_000, mayMissClaims = false } = {}) => {
      const all = await Promise.all(ids.map((id) => c.ended(id, timeoutMs)));
      const began = new Set(await runs());
      const done = mayMissClaims ? all.map((task) => withoutMissed(task, began)) : all;
      expect((await runs()).sort()).toEqual(done.map(({ id, attempt }) => `${id}.${mayMissClaims ? attempt : 1}`).sort());
      for (const task of done.slice(0, chatty)) await checkChatty(c, task, lines);
      for (const task of done.slice(chatty))
        expect([outcomeOf(task), await c.logOf(task.id)]).toEqual([ended("completed", 0, task.attempt), `${task.id}\n`]);
    },
  };
}

async function checkChatty(c: Client, task: TaskRecord, lines: number): Promise<void> {
  expect(outcomeOf(task)).toEqual(ended("failed", 3, task.attempt));
  expect(await c.logOf(task.id)).toBe(Array.from({ length: lines }, (_, i) => `line ${i}\n`).join(""));
  const points = await c.navvy.metrics.series({ id: task.id, attempt: task.attempt }, "x");
  expect(points.map((point) => point.value)).toEqual(Array.from({ length: lines }, (_, i) => i));
  const hash = createHash("sha256");
  for await (const part of c.navvy.artifacts.read(task, "numbers.txt")) hash.update(part);
  expect(hash.digest("hex")).toBe(createHash("sha256").update(ARTIFACT).digest("hex"));
}

const ended = (status: string, code: number, attempt = 1) => ({ status, attempts: [[attempt, "exited", code]], losses: 0 });

/** Without attempts that were lost and never began. */
function withoutMissed(task: TaskRecord, began: Set<string>): TaskRecord {
  const isMissed = (each: TaskRecord["attempts"][number]) => each.outcome?.kind === "lost" && !began.has(`${task.id}.${each.attempt}`);
  const missed = task.attempts.filter(isMissed);
  return { ...task, attempts: task.attempts.filter((each) => !isMissed(each)), losses: task.losses - missed.length };
}

function outcomeOf(task: TaskRecord) {
  return {
    status: task.status,
    attempts: task.attempts.map(({ attempt, outcome }) => [attempt, outcome?.kind, outcome?.code]),
    losses: task.losses,
  };
}
