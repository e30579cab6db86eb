import { expect, test } from "vitest";
import type { AgentView } from "../broker/index.js";
import { AgentRecord, Beat, TaskRecord } from "../protocol/index.js";
import { explain, explanationLines, type Situation } from "./why.js";

const NOW = "2026-01-01T12:00:00.000Z";
const ID = "01JD3W5V3Q0N6T8B2M7R5C9F3K";

function task(change: object = {}): TaskRecord {
  return TaskRecord.parse({
    type: "navvy.task.v1",
    id: ID,
    name: "train",
    project: "default",
    taskType: "training",
    createdAt: NOW,
    createdBy: "maria",
    changedAt: NOW,
    spec: { command: ["true"] },
    status: "queued",
    reason: "enqueued",
    by: "maria",
    queue: "gpu",
    enqueuedAt: "2026-01-01T11:58:00.000Z",
    ...change,
  });
}

function agent(name: string, change: { record?: object; beat?: object | null; isUp?: boolean } = {}): AgentView {
  const record = AgentRecord.parse({
    type: "navvy.agent.v1",
    name,
    session: "s",
    host: "h",
    pid: 1,
    version: "0",
    protocol: 1,
    queues: ["gpu"],
    order: "strict",
    slots: 2,
    serviceSlots: 0,
    cpus: 1,
    memoryBytes: 1,
    gpus: [],
    os: "linux",
    registeredAt: NOW,
    ...change.record,
  });
  const beat = Beat.parse({
    type: "navvy.beat.v1",
    agent: name,
    session: "s",
    at: NOW,
    state: "idle",
    queues: ["gpu"],
    slots: { used: 0, total: 2 },
    services: { used: 0, total: 0 },
    running: [],
    leading: false,
    cpu: { used: 0, cores: 1, load1: 0 },
    memory: { usedBytes: 0, totalBytes: 1 },
    disk: { freeBytes: 1, totalBytes: 1 },
    network: { rxBytesPerSec: 0, txBytesPerSec: 0 },
    gpus: [],
    ...change.beat,
  });
  return { record, isUp: change.isUp ?? true, ...(change.beat === null ? {} : { beat }) };
}

const words = (situation: Partial<Situation>) => {
  const subject = situation.task ?? task();
  return explanationLines(explain({ task: subject, waiting: [subject], agents: [], nowMs: Date.parse(NOW), ...situation })).join("\n");
};

test("a task that nobody serves names the command that starts an agent for its queue", () => {
  const text = words({});
  expect(text).toContain("5C9F3K train has been queued for 2m on gpu, position 1 of 1.");
  expect(text).toContain("No agent that is up serves gpu.");
  expect(text).toContain("fix: navvy agent start -q gpu");
});

test("an agent that served the queue and is gone is named", () => {
  expect(words({ agents: [agent("gpu-7", { isUp: false })] })).toContain("gpu-7 served it, but is gone");
});

test("a controller that waits is told how to get service slots", () => {
  expect(words({ task: task({ queue: "services" }) })).toContain("navvy agent start --services 4");
});

test("a paused queue explains itself with who, when and why", () => {
  const queue = {
    type: "navvy.queue.v1" as const,
    name: "gpu",
    createdAt: NOW,
    createdBy: "m",
    lanes: [],
    paused: { at: "2026-01-01T11:00:00.000Z", by: "jonas", reason: "power work" },
  };
  const text = words({ queue, agents: [agent("gpu-7")] });
  expect(text).toContain("paused by jonas since 1h: power work");
  expect(text).toContain("navvy queue resume gpu");
});

test("a delayed task says until when", () => {
  expect(words({ task: task({ notBefore: "2026-01-01T12:05:00.000Z" }) })).toContain("in 5m");
});

test("busy and draining agents are told apart, and a drain can be ended", () => {
  const running = [{ id: ID, name: "other", attempt: 1, queue: "gpu", phase: "executing", since: NOW }];
  const text = words({
    agents: [
      agent("gpu-7", { beat: { slots: { used: 2, total: 2 }, running } }),
      agent("gpu-9", { beat: { state: "draining", reason: "draining: upgrade" } }),
    ],
  });
  expect(text).toContain("gpu-7 serves gpu: busy 2/2 (other 5C9F3K)");
  expect(text).toContain("gpu-9 serves gpu: draining: upgrade");
  expect(text).toContain("fix: navvy agent resume gpu-9");
});

test("for a controller the service slots count, for all else the others", () => {
  const busy = agent("one", {
    record: { queues: ["gpu", "services"] },
    beat: { slots: { used: 2, total: 2 }, services: { used: 1, total: 4 } },
  });
  expect(words({ agents: [busy] })).toContain("busy 2/2");
  expect(words({ task: task({ queue: "services" }), agents: [busy] })).toContain("3 of 4 slots free");
});

test("a task that asks for more GPUs than any agent has is told so", () => {
  const text = words({ task: task({ spec: { command: ["true"], resources: { gpus: 2 } }, shape: "g2" }), agents: [agent("cpu-1")] });
  expect(text).toContain("It asks for 2 GPUs.");
  expect(text).toContain("cpu-1 serves gpu: it has no GPU, the task needs 2 GPUs");
  expect(text).toContain("Nobody that is up can ever run it.");
  expect(text).toContain("fix: navvy task dequeue 5C9F3K && navvy task edit 5C9F3K --gpus N");
  expect(text).toContain("navvy agent start -q gpu   on a machine that has it");
});

const GIB = 2 ** 30;
const gpu = (index: number, gib: number, more: object = {}) => ({ index, name: `NVIDIA X${gib}`, memoryTotalBytes: gib * GIB, ...more });
const asking = (resources: object) => task({ spec: { command: ["true"], resources } });
const large = { cpus: 8, memoryBytes: 64 * GIB, diskBytes: 500 * GIB };

test("for each agent what it can never give is named: GPUs, processors, memory, disk, labels, containers", () => {
  const text = (resources: object, record: object) =>
    words({ task: asking(resources), agents: [agent("a", { record: { ...large, ...record } })] });
  const two = { gpus: [gpu(0, 24), gpu(1, 24)] };
  expect(text({ gpus: 1, gpuMemoryBytes: 40 * GIB }, two)).toContain("it has 2 GPUs of 24 GiB, the task needs 1 GPU of 40 GiB");
  expect(text({ gpus: 1, gpuModel: "H100" }, two)).toContain("it has 2 NVIDIA X24 of 24 GiB, the task needs 1 H100 GPU");
  expect(text({ gpus: 2, gpuMemoryBytes: 40 * GIB }, { gpus: [gpu(0, 24), gpu(1, 80)] })).toContain(
    "it has 1 NVIDIA X24 of 24 GiB and 1 NVIDIA X80 of 80 GiB, 1 of them as wanted, the task needs 2 GPUs of 40 GiB",
  );
  expect(text({ cpus: 12 }, {})).toContain("it has 8 cpus, the task needs 12");
  expect(text({ memoryBytes: 100 * GIB }, {})).toContain("it has 64 GiB of memory, the task needs 100 GiB");
  expect(text({ diskBytes: 600 * GIB }, {})).toContain("its disk has 500 GiB, the task needs 600 GiB of it");
  expect(text({ labels: { rack: "b2" } }, {})).toContain("label rack=b2 is missing");
  expect(text({ labels: { rack: "b2" } }, {})).toContain("fix: navvy agent start -q gpu --label rack=b2");
  expect(text({ labels: { rack: "b2" } }, { labels: { rack: "b3" } })).toContain("label rack is b3, the task needs b2");
  const contained = task({ spec: { command: ["true"], container: { image: "a" } } });
  expect(words({ task: contained, agents: [agent("a")] })).toContain("it runs no containers, and the task wants one");
});

test("what an agent has, and others hold just now, is told with who holds it, and is no reason to give up", () => {
  const running = [{ id: ID, name: "other", attempt: 1, queue: "gpu", phase: "executing", since: NOW }];
  const gpus = [gpu(0, 80, { heldBy: ID }), gpu(1, 80, { asideReason: "process 7 (python) uses it" }), gpu(2, 80), gpu(3, 24)];
  const view = agent("a", {
    record: { ...large, gpus },
    beat: {
      gpus,
      running,
      reserved: { cpus: 4, memoryBytes: 60 * GIB, diskBytes: 0 },
      disk: { freeBytes: 5 * GIB, totalBytes: 500 * GIB },
    },
  });
  const text = (resources: object) => words({ task: asking(resources), agents: [view] });
  expect(text({ gpus: 2, gpuMemoryBytes: 40 * GIB })).toContain(
    "1 of 3 GPUs of 40 GiB free, the task needs 2: GPU 0 runs other 5C9F3K, GPU 1 is set aside: process 7 (python) uses it",
  );
  expect(text({ cpus: 6 })).toContain("4 of 8 cpus free, the task needs 6: busy");
  expect(text({ memoryBytes: 30 * GIB })).toContain("4.0 GiB of 64 GiB of memory free, the task needs 30 GiB: busy");
  expect(text({ diskBytes: 100 * GIB })).toContain("5.0 GiB of disk free, the task needs 100 GiB");
  expect(text({ gpus: 1, cpus: 1 })).toContain("2 of 2 slots free");
  expect(text({ cpus: 6 })).not.toContain("Nobody that is up");
});

test("a running task says where, in which phase, and that an abort is open", () => {
  const running = task({
    status: "running",
    attempt: 2,
    phase: "executing",
    owner: { agent: "gpu-7", session: "s" },
    attempts: [{ attempt: 2, agent: "gpu-7", session: "s", claimedAt: "2026-01-01T11:53:00.000Z" }],
    abort: { at: NOW, by: "maria", reason: "wrong data" },
  });
  const text = words({ task: running, agents: [agent("gpu-7", { isUp: false })] });
  expect(text).toContain("train runs on gpu-7.");
  expect(text).toContain("attempt 2, executing, since 7m");
  expect(text).toContain("maria asked to abort it 0s ago: wrong data");
  expect(text).toContain("gpu-7 is gone");
});

test("an ended task says how it ended, with its last lines", () => {
  const failed = task({
    status: "failed",
    reason: "exit code 3",
    by: "gpu-7",
    attempt: 1,
    outcome: { kind: "exited", code: 3, tail: "one\nboom\n" },
    attempts: [{ attempt: 1, agent: "gpu-7", session: "s", claimedAt: NOW }],
  });
  const text = words({ task: failed });
  expect(text).toContain("is failed after attempt 1 on gpu-7: exited 3.");
  expect(text).toContain("    boom");
  expect(text).toContain("navvy task reset");
});

test("a draft says how it is sent off, or that it has nothing to run", () => {
  expect(words({ task: task({ status: "draft" }) })).toContain("navvy task enqueue 5C9F3K");
  expect(words({ task: task({ status: "draft", spec: { command: [] } }) })).toContain("no command yet");
});
