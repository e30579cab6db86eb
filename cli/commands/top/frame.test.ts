import { expect, test } from "vitest";
import { Beat, TaskRecord } from "../../../protocol/index.js";
import { displayWidth } from "../../output/table.js";
import { renderFrame } from "./frame.js";
import { FleetState } from "./state.js";

const NOW = Date.parse("2026-01-01T12:00:00.000Z");
const SCREEN = { width: 80, height: 24, nowMs: NOW, source: "nats://127.0.0.1:4222 (from default)" };

function beat(agent: string): Beat {
  return Beat.parse({
    type: "navvy.beat.v1",
    agent,
    session: "s",
    at: "2026-01-01T12:00:00.000Z",
    state: "busy",
    queues: ["default"],
    slots: { used: 1, total: 2 },
    services: { used: 0, total: 4 },
    running: [],
    leading: false,
    cpu: { used: 48, cores: 4, load1: 1 },
    memory: { usedBytes: 2 ** 33, totalBytes: 2 ** 35 },
    disk: { freeBytes: 1, totalBytes: 1 },
    network: { rxBytesPerSec: 0, txBytesPerSec: 0 },
    gpus: [
      { index: 0, name: "H100", utilization: 98 },
      { index: 1, name: "H100", utilization: 0 },
    ],
  });
}

function task(id: string, status: string, name = `a-rather-long-name-of-a-task-that-does-not-fit-${id}`): TaskRecord {
  return TaskRecord.parse({
    type: "navvy.task.v1",
    id,
    name,
    project: "p",
    taskType: "training",
    createdAt: "2026-01-01T11:00:00.000Z",
    createdBy: "m",
    changedAt: "2026-01-01T11:59:00.000Z",
    spec: { command: ["true"] },
    status,
    reason: "r",
    by: "m",
    queue: "default",
    enqueuedAt: "2026-01-01T11:56:00.000Z",
  });
}

test("a frame shows agents with every GPU, queues with what waits, and tasks, within the screen", () => {
  const state = new FleetState();
  state.seeBeat(beat("gpu-7"), NOW);
  state.seeQueue({ type: "navvy.queue.v1", name: "default", createdAt: "", createdBy: "", lanes: [] });
  for (let i = 0; i < 40; i++) state.seeTask(task(`01JD3W5V3Q0N6T8B2M7R5C9F${String(i).padStart(2, "0")}`, i === 0 ? "running" : "queued"));
  const lines = renderFrame(state, SCREEN);
  expect(lines).toHaveLength(24);
  for (const line of lines) expect(displayWidth(line)).toBeLessThanOrEqual(80);
  const text = lines.join("\n");
  expect(text).toContain("1 agent · 1/2 slots busy · 39 waiting");
  expect(text).toMatch(/gpu-7 .*● busy .*1\/2 \+0\/4 .* 48 %.*0 ████ {2}98 %/);
  expect(text).toMatch(/default .*39 +4m/);
});

test("an agent that is not heard of any more is shown as gone, and its slots do not count", () => {
  const state = new FleetState();
  state.seeBeat(beat("gpu-7"), NOW - 60_000);
  const text = renderFrame(state, SCREEN).join("\n");
  expect(text).toContain("✖ gone");
  expect(text).toContain("0 agents · 0/0 slots busy");
});

test("an empty fleet says how to begin", () => {
  const text = renderFrame(new FleetState(), SCREEN).join("\n");
  expect(text).toContain("navvy agent start");
  expect(text).toContain("navvy run -- echo hello");
});
