import type { SlotsOffer } from "../agent/slots.js";
import type { Needs } from "../protocol/index.js";

const GIB = 2 ** 30;

export interface SimAgent {
  name: string;
  slots: number;
  offer: SlotsOffer;
}

export interface SimTask {
  needs: Needs;
  /** How long it holds what it needs. */
  forMs: number;
}

/** What is left of an agent, in books of the bench's own. */
export interface Room {
  slots: number;
  cpus: number;
  memoryBytes: number;
  gpus: { name: string; gib: number; isFree: boolean }[];
  labels: Readonly<Record<string, string>>;
  container: boolean;
}

/** The same for the same seed (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const KINDS = [
  { gpus: 0, cpus: 8, gib: 32, model: "", size: 0 },
  { gpus: 0, cpus: 64, gib: 256, model: "", size: 0 },
  { gpus: 2, cpus: 16, gib: 64, model: "NVIDIA A10G", size: 24 },
  { gpus: 8, cpus: 64, gib: 512, model: "NVIDIA H100 80GB HBM3", size: 80 },
];

/** Machines of four kinds; every third in another rack, every second with a container engine. */
export function makeAgents(count: number, seed: number): SimAgent[] {
  const next = random(seed);
  return Array.from({ length: count }, (_, i) => {
    const { gpus, cpus, gib, model, size } = KINDS[i % KINDS.length] as (typeof KINDS)[number];
    const offer: SlotsOffer = {
      gpus: Array.from({ length: gpus }, (_gpu, index) => ({ index, name: model, memoryTotalBytes: size * GIB })),
      ...{ cpus, memoryBytes: gib * GIB, labels: { rack: i % 3 === 0 ? "b2" : "b1" }, container: i % 2 === 0 },
    };
    return { name: `sim-${i}`, slots: Math.max(4, gpus) + Math.floor(next() * 3), offer };
  });
}

/** Tasks of mixed needs, each of which some agent can run. */
export function makeTasks(count: number, agents: SimAgent[], seed: number): SimTask[] {
  const next = random(seed + 1);
  const pick = <T>(from: T[]): T => from[Math.floor(next() * from.length)] as T;
  const make = (): Needs => ({
    gpus: pick([0, 0, 0, 1, 1, 2, 4, 8]),
    ...(next() < 0.3 ? { cpus: pick([0.5, 2, 4, 16]) } : {}),
    ...(next() < 0.3 ? { memoryBytes: pick([2, 16, 64]) * GIB } : {}),
    ...(next() < 0.1 ? { labels: { rack: pick(["b1", "b2"]) } } : {}),
    ...(next() < 0.1 ? { container: true } : {}),
  });
  const tasks: SimTask[] = [];
  while (tasks.length < count) {
    const needs = make();
    if (needs.gpus > 0 && needs.gpus <= 2 && next() < 0.3) needs.gpuMemoryBytes = pick([20, 40, 80]) * GIB;
    if (needs.gpus > 0 && needs.gpus <= 2 && next() < 0.2) needs.gpuModel = pick(["H100", "A10G"]);
    if (agents.some((agent) => fits(needs, roomOf(agent)))) tasks.push({ needs, forMs: 200 + Math.floor(next() * 1_000) });
  }
  return tasks;
}

export function roomOf({ slots, offer }: SimAgent): Room {
  const { cpus, memoryBytes, labels, container } = offer;
  const gpus = offer.gpus.map(({ name, memoryTotalBytes = 0 }) => ({ name, gib: memoryTotalBytes / GIB, isFree: true }));
  return { slots, cpus, memoryBytes, gpus, labels, container };
}

function suitable(needs: Needs, room: Room): Room["gpus"] {
  return room.gpus.filter(
    (gpu) =>
      gpu.isFree && gpu.gib >= (needs.gpuMemoryBytes ?? 0) / GIB && gpu.name.toLowerCase().includes((needs.gpuModel ?? "").toLowerCase()),
  );
}

/** By the plainest reading of what is asked for. */
export function fits(needs: Needs, room: Room): boolean {
  return (
    room.slots >= 1 &&
    room.cpus + 1e-9 >= (needs.cpus ?? 0) &&
    room.memoryBytes >= (needs.memoryBytes ?? 0) &&
    suitable(needs, room).length >= needs.gpus &&
    Object.entries(needs.labels ?? {}).every(([key, value]) => room.labels[key] === value) &&
    (!needs.container || room.container)
  );
}

/** Takes it out of the room, the smallest GPUs first. @returns how to give it back */
export function occupy(needs: Needs, room: Room): () => void {
  const gpus = suitable(needs, room)
    .sort((a, b) => a.gib - b.gib)
    .slice(0, needs.gpus);
  const change = (sign: 1 | -1) => {
    room.slots += sign;
    room.cpus += sign * (needs.cpus ?? 0);
    room.memoryBytes += sign * (needs.memoryBytes ?? 0);
    for (const gpu of gpus) gpu.isFree = sign === 1;
  };
  change(-1);
  return () => change(1);
}

/** How long the same takes when whatever fits is given at once, in the queue's order, and nothing takes time but the tasks. */
export function idealMs(agents: SimAgent[], tasks: SimTask[], everyMs: number): number {
  const rooms = agents.map(roomOf);
  const waiting: SimTask[] = [];
  const running: { until: number; free: () => void }[] = [];
  let [nowMs, came] = [0, 0];
  while (came < tasks.length || waiting.length > 0 || running.length > 0) {
    for (; came < tasks.length && came * everyMs <= nowMs; came++) waiting.push(tasks[came] as SimTask);
    for (const room of rooms) fill(room, { waiting, running, nowMs });
    const next = Math.min(...running.map((each) => each.until), came < tasks.length ? came * everyMs : Number.POSITIVE_INFINITY);
    if (next === Number.POSITIVE_INFINITY) throw new Error(`${waiting.length} tasks fit nobody`);
    nowMs = next;
    for (const ended of running.filter((each) => each.until <= nowMs)) ended.free();
    running.splice(0, running.length, ...running.filter((each) => each.until > nowMs));
  }
  return nowMs;
}

interface Standing {
  waiting: SimTask[];
  running: { until: number; free: () => void }[];
  nowMs: number;
}

function fill(room: Room, { waiting, running, nowMs }: Standing): void {
  for (let i = 0; i < waiting.length && room.slots > 0; ) {
    const task = waiting[i] as SimTask;
    if (!fits(task.needs, room)) i++;
    else {
      waiting.splice(i, 1);
      running.push({ until: nowMs + task.forMs, free: occupy(task.needs, room) });
    }
  }
}
