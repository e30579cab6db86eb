import { stripVTControlCharacters } from "node:util";
import type { Beat, Gpu, TaskRecord } from "../../../protocol/index.js";
import { age, bar, size } from "../../output/quantities.js";
import { displayWidth, renderTable } from "../../output/table.js";
import { count, paint, shortId, stateWord } from "../../output/words.js";
import { agentOf } from "../task/view.js";
import type { FleetState } from "./state.js";

/** How large the screen is, and the time. */
export interface FrameOptions {
  width: number;
  height: number;
  nowMs: number;
  source: string;
}

/** One frame as lines, none wider than the screen and no more than fit. Pure. */
export function renderFrame(state: FleetState, { width, height, nowMs, source }: FrameOptions): string[] {
  const agents = state.agents(nowMs);
  const tasks = state.tasks();
  const lines = [
    headline(agents, tasks, source),
    "",
    ...(agents.length ? agentLines(agents, width) : ["no agents heard of yet; they beat every 2 s. Start one: navvy agent start"]),
    "",
    ...queueLines(state, { width, nowMs }),
    "",
    ...taskLines(tasks.slice(0, Math.max(3, height)), { width, nowMs }),
  ];
  return lines.slice(0, height).map((line) => clip(line, width));
}

function headline(agents: { beat: Beat; isGone: boolean }[], tasks: TaskRecord[], source: string): string {
  const up = agents.filter((agent) => !agent.isGone);
  const busy = up.reduce((sum, { beat }) => sum + beat.slots.used, 0);
  const slots = up.reduce((sum, { beat }) => sum + beat.slots.total, 0);
  const waiting = tasks.filter((task) => task.status === "queued" && !task.parked).length;
  return `${paint("bold", "navvy top")}  ${count(up.length, "agent")} · ${busy}/${slots} slots busy · ${waiting} waiting   ${paint("dim", source)}`;
}

function agentLines(agents: { beat: Beat; isGone: boolean }[], width: number): string[] {
  const rows = agents.flatMap(({ beat, isGone }) => {
    const gpus: (Gpu | undefined)[] = beat.gpus.length ? beat.gpus : [undefined];
    return gpus.map((gpu, i) => ({ beat, isGone, gpu, isFirst: i === 0 }));
  });
  type Row = (typeof rows)[number];
  const first = (text: (row: Row) => string) => (row: Row) => (row.isFirst ? text(row) : "");
  return renderTable<Row>(
    [
      { title: "AGENT", value: first(({ beat }) => beat.agent), isFlexible: true },
      { title: "STATE", value: first(({ beat, isGone }) => stateWord(isGone ? "gone" : beat.state)) },
      { title: "SLOTS", value: first(({ beat }) => slotsOf(beat)), align: "right" },
      { title: "CPU", value: first(({ beat }) => bar(beat.cpu.used / 100, 5)) },
      { title: "MEM", value: first(({ beat }) => `${size(beat.memory.usedBytes)} of ${size(beat.memory.totalBytes)}`) },
      { title: "GPU", value: ({ gpu }) => (gpu ? gpuWords(gpu) : "—") },
    ],
    rows,
    { width },
  ).split("\n");
}

function gpuWords(gpu: Gpu): string {
  const aside = gpu.asideReason === undefined ? "" : ` ! ${gpu.asideReason}`;
  return `${gpu.index} ${bar((gpu.utilization ?? 0) / 100, 4)}${aside}`;
}

function slotsOf(beat: Beat): string {
  return `${beat.slots.used}/${beat.slots.total}${beat.services.total > 0 ? ` +${beat.services.used}/${beat.services.total}` : ""}`;
}

function queueLines(state: FleetState, { width, nowMs }: { width: number; nowMs: number }): string[] {
  const queues = state.queues();
  if (queues.length === 0) return ["no queues yet"];
  const oldest = (waiting: TaskRecord[]) => waiting.map((task) => task.enqueuedAt ?? task.createdAt).sort()[0];
  return renderTable(
    [
      { title: "QUEUE", value: ({ queue }) => queue.name, isFlexible: true },
      { title: "STATE", value: ({ queue }) => stateWord(queue.paused ? "paused" : "open") },
      { title: "WAITING", value: ({ waiting }) => String(waiting.length), align: "right" },
      { title: "OLDEST", value: ({ waiting }) => age(oldest(waiting), nowMs), align: "right" },
    ],
    queues,
    { width },
  ).split("\n");
}

function taskLines(tasks: TaskRecord[], { width, nowMs }: { width: number; nowMs: number }): string[] {
  if (tasks.length === 0) return ["no tasks yet; try: navvy run -- echo hello"];
  const progress = ({ reported }: TaskRecord) => (reported.progress?.of ? bar(reported.progress.n / reported.progress.of, 6) : "—");
  return renderTable(
    [
      { title: "TASK", value: (task) => shortId(task.id) },
      { title: "NAME", value: (task) => task.name, isFlexible: true },
      { title: "STATE", value: (task) => stateWord(task.parked ? "parked" : task.status) },
      { title: "QUEUE", value: (task) => task.queue ?? "—", isFlexible: true },
      { title: "AGENT", value: agentOf, isFlexible: true },
      { title: "PROGRESS", value: progress },
      { title: "AGE", value: (task) => age(task.changedAt, nowMs), align: "right" },
    ],
    tasks,
    { width },
  ).split("\n");
}

/** A line that is too wide loses its colours with its end: cutting inside an escape sequence would spill it. */
function clip(line: string, width: number): string {
  return displayWidth(line) <= width ? line : Array.from(stripVTControlCharacters(line)).slice(0, width).join("");
}
