// Writes one golden message of every type into protocol/golden: its bytes, and the same for people as JSON. Files are only ever
// added: one that is there is a promise to whoever wrote such a message, and is left as it is. Needs a build.
//
//   node scripts/golden.mjs           the types that have none yet: navvy.task.v1.msgpack
//   node scripts/golden.mjs 0.2.0     all of them as they are written today: navvy.task.v1-0.2.0.msgpack
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { encode, toColumns } from "../dist/protocol/index.js";
import { SCHEDULES } from "./golden-schedules.mjs";

const folder = fileURLToPath(new URL("../protocol/golden", import.meta.url));
const release = process.argv[2];

const task = "01KAQD4XW7J9M2ZC5T8RB3FVNH";
const session = "01KAQD0A6S1E4GQYH7PK9DXW3B";
const at = "2026-11-22T08:30:00.250Z";
const later = "2026-11-22T08:41:12.500Z";
const agent = "gpu-7";
const sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const gpu = {
  index: 0,
  name: "NVIDIA H200",
  uuid: "GPU-5f6b0d1c-0000-0000-0000-000000000000",
  memoryTotalBytes: 150_754_820_096,
  memoryUsedBytes: 42_949_672_960,
  utilization: 97,
  temperatureC: 61,
  powerW: 642.5,
};
const lost = { kind: "lost", reason: "agent gpu-3 was lost" };
const done = { kind: "exited", code: 0 };

const MESSAGES = [
  { type: "navvy.journal.v1", key: "step:train[0]", at, by: "task-4WXW7J9M", value: { state: "completed", id: task, tries: 1 } },
  {
    type: "navvy.cache.v1",
    task,
    at,
    by: "task-4WXW7J9M",
    parts: { code: sha256.slice(0, 16), command: sha256.slice(16, 32), parameters: sha256.slice(32, 48) },
  },
  {
    type: "navvy.task.v1",
    id: task,
    name: "train lr=0.1",
    project: "iris",
    taskType: "training",
    tags: ["sweep", "größe"],
    comment: "second round",
    parent: "01KAQD4WZ1V6B8N3K5M7P9R2T4",
    clonedFrom: "01KAQD3E5G7J9K1M3N5P7Q9R1S",
    archived: false,
    createdAt: at,
    createdBy: "ada@workstation",
    spec: {
      command: ["python", "train.py", "--verbose"],
      directory: "src",
      code: {
        bundle: sha256,
        sizeBytes: 18_432,
        files: 12,
        origin: { folder: "/home/ada/iris", commit: "3f2a9c1", branch: "main", dirty: true },
      },
      inputs: { "train.csv": { sha256, sizeBytes: 4_551, from: { task: "01KAQD4WZ1V6B8N3K5M7P9R2T4", artifact: "train.csv" } } },
      env: { OMP_NUM_THREADS: "4" },
      parameters: {
        General: { lr: 0.1, epochs: 60, deep: true, name: "0.10", none: null },
        Data: { split: [0.8, 0.2], by: { column: "species" } },
      },
      resources: { gpus: 2 },
      timeLimitMs: 3_600_000,
      graceMs: 30_000,
      retries: { limit: 2, backoffMs: 1_000 },
      lostLimit: 3,
      onDisconnect: "continue",
    },
    status: "completed",
    reason: "exited 0",
    by: agent,
    changedAt: later,
    phase: "collecting",
    queue: "default",
    class: "front",
    shape: "g2",
    ticket: 2,
    enqueuedAt: at,
    notBefore: at,
    attempt: 2,
    owner: { agent, session },
    onDisconnect: "continue",
    unreachableAt: later,
    abort: { at, by: "ada@workstation", reason: "too slow", graceMs: 5_000, deliveredAt: at },
    failures: 1,
    losses: 1,
    attempts: [
      { attempt: 1, agent: "gpu-3", session: "01KAQCZZZZ1E4GQYH7PK9DXW3B", claimedAt: at, endedAt: at, outcome: lost },
      {
        attempt: 2,
        agent,
        session,
        claimedAt: at,
        startedAt: at,
        endedAt: later,
        outcome: done,
        logBytes: { out: 5_120, err: 0, navvy: 42 },
        log: { sha256, sizeBytes: 1_204, bytes: { out: 5_120, navvy: 42 }, upTo: 98_304 },
      },
    ],
    outcome: done,
    endedAt: later,
    expired: { metrics: later },
    reported: {
      outputs: { accuracy: 0.97, classes: ["setosa", "versicolor", "virginica"] },
      metrics: {
        "train/loss": { last: Number.NaN, lastStep: 60, min: 0.08, minStep: 59, max: 1.1, maxStep: 1, count: 60 },
        perplexity: {
          last: Number.POSITIVE_INFINITY,
          lastStep: 1,
          min: Number.POSITIVE_INFINITY,
          minStep: 1,
          max: Number.NEGATIVE_INFINITY,
          maxStep: 1,
          count: 1,
        },
      },
      metricsOmitted: 0,
      artifacts: [{ name: "models/model.json", sha256, sizeBytes: 5_368_709_120, attempt: 2, uploadedAt: later, kind: "model" }],
      progress: { n: 60, of: 60, unit: "epoch" },
      notes: [{ at, level: "warn", text: "two\nlines" }],
    },
  },
  { type: "navvy.ticket.v1", id: task, ticket: 2 },
  {
    type: "navvy.queue.v1",
    name: "default",
    createdAt: at,
    createdBy: "ada@workstation",
    paused: { at, by: "ada@workstation", reason: "new drivers" },
    lanes: [
      { class: "normal", shape: "cpu" },
      { class: "front", shape: "g2" },
    ],
    onDisconnect: "kill",
  },
  { type: "navvy.session.v1", agent, session, startedAt: at, host: "gpu-7.example", pid: 4_711, leaseMs: 15_000, renewals: 12 },
  {
    type: "navvy.secret.v1",
    name: "hf-token",
    agent,
    key: "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=",
    sealed: Uint8Array.from({ length: 76 }, (_, i) => i),
    at,
    by: "ada@workstation",
  },
  ...SCHEDULES,
  { type: "navvy.leader.v1", agent, session, since: at, leaseMs: 15_000, renewals: 7 },
  {
    type: "navvy.agent.v1",
    name: agent,
    session,
    host: "gpu-7.example",
    pid: 4_711,
    version: "0.1.0",
    protocol: 1,
    queues: ["default", "services"],
    order: "strict",
    slots: 4,
    serviceSlots: 4,
    cpus: 64,
    memoryBytes: 540_000_000_000,
    gpus: [gpu],
    os: "linux 6.1",
    labels: { room: "b2" },
    registeredAt: at,
    leftAt: later,
  },
  {
    type: "navvy.beat.v1",
    agent,
    session,
    at,
    state: "draining",
    reason: "draining: new drivers",
    queues: ["default", "services"],
    slots: { used: 1, total: 4 },
    services: { used: 0, total: 4 },
    running: [
      { id: task, name: "train lr=0.1", attempt: 2, queue: "default", phase: "executing", since: at, progress: 0.5, service: false },
    ],
    leading: true,
    cpu: { used: 37.5, cores: 64, load1: 24.2 },
    memory: { usedBytes: 120_000_000_000, totalBytes: 540_000_000_000 },
    disk: { freeBytes: 900_000_000_000, totalBytes: 2_000_000_000_000 },
    network: { rxBytesPerSec: 125_000, txBytesPerSec: 64_000 },
    gpus: [gpu],
  },
  {
    type: "navvy.event.v1",
    kind: "task",
    id: task,
    event: "completed",
    at: later,
    by: agent,
    reason: "exited 0",
    attempt: 2,
    data: { name: "train lr=0.1", queue: "default", agent, outcome: done },
  },
  { type: "navvy.log.v1", stream: "out", offset: 5_100, at, data: Buffer.from("épée \xff\0\n", "latin1") },
  toColumns(
    [
      { key: "train/loss", step: 1, value: 1.1, time: 1_795_336_200_250 },
      { key: "train/accuracy", step: 1, value: 0.4, time: 1_795_336_200_250 },
      { key: "train/loss", step: 2, value: Number.NaN, time: 1_795_336_201_250 },
    ],
    3,
  ),
  { type: "navvy.rolled-log.v1", task, attempt: 2 },
  {
    type: "navvy.retention.v1",
    default: { logs: { ageMs: 2_592_000_000, bytes: 53_687_091_200 } },
    projects: { iris: { artifacts: { ageMs: 0 }, tasks: { ageMs: 31_536_000_000 } } },
    queues: { "gpu-4": { metrics: { bytes: 1_073_741_824 } } },
    everyMs: 86_400_000,
    changedAt: at,
    by: "ada@workstation",
  },
  { type: "navvy.gc.v1", at, by: "ada@workstation" },
  {
    type: "navvy.media.v1",
    sequence: 4,
    kind: "image",
    name: "samples/größe",
    step: 2,
    time: 1_795_336_201_250,
    mediaType: "image/png",
    sizeBytes: 4,
    caption: "after two epochs",
    data: Buffer.from([0x89, 0x50, 0x4e, 0x47]),
  },
  { type: "navvy.request.v1", by: "ada@workstation", reason: "too slow", task, attempt: 2, graceMs: 5_000, now: false },
  {
    type: "navvy.reply.v1",
    ok: false,
    code: "not_found",
    message: "task 01KAQD4XW7J9M2ZC5T8RB3FVNH does not run on agent gpu-7",
    errorId: "0b9cf2a8-6a70-4c1e-9e0b-6a4f9f8d2d11",
    data: { running: 1 },
  },
];

for (const message of MESSAGES) {
  const name = release === undefined ? message.type : `${message.type}-${release}`;
  add(`${name}.msgpack`, encode(message));
  add(`${name}.json`, `${JSON.stringify(readable(message), undefined, 2)}\n`);
}

function add(name, content) {
  try {
    writeFileSync(join(folder, name), content, { flag: "wx" });
    console.log(`added ${name}`);
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    console.log(`kept  ${name}, which is there already`);
  }
}

/** What JSON has no word for: bytes, and numbers that are not finite. */
function readable(value) {
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString("base64") };
  if (typeof value === "number") return Number.isFinite(value) ? value : { number: String(value) };
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, readable(each)]));
}
