import type { AgentView, Navvy } from "../../../broker/index.js";
import type { QueueRecord, TaskRecord } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { needsAsAsked, needsWords } from "../../output/needs.js";
import { type Output, tableWidth, type View } from "../../output/output.js";
import { age } from "../../output/quantities.js";
import { renderTable } from "../../output/table.js";
import { count, shortId, stateWord } from "../../output/words.js";

/** A queue as it is: its entry, who waits, who serves. */
export interface QueueLook extends Omit<QueueRecord, "type"> {
  waiting: number;
  running: number;
  /** When the task that waits longest was enqueued. */
  oldest?: string;
  /** Agents that are up and serve it. */
  agents: string[];
}

const QUEUE_VIEW: View<QueueLook> = {
  kind: "queue",
  name: (queue) => queue.name,
  empty: "no queues yet; one is made when something is enqueued on it: navvy run -q NAME -- COMMAND",
  columns: [
    { title: "QUEUE", value: (queue) => queue.name, isFlexible: true },
    { title: "STATE", value: (queue) => stateWord(queue.paused ? "paused" : "open") },
    { title: "WAITING", value: (queue) => String(queue.waiting), align: "right" },
    { title: "OLDEST", value: (queue) => age(queue.oldest), align: "right" },
    { title: "RUNNING", value: (queue) => String(queue.running), align: "right" },
    { title: "AGENTS", value: (queue) => queue.agents.join(", ") || (queue.waiting > 0 ? "! nobody" : "—"), isFlexible: true },
  ],
};

/** `navvy queue ls` */
export const list: Handler = async (call) => {
  call.out.list(QUEUE_VIEW, await lookAtQueues(await call.navvy()));
};

/** `navvy queue show QUEUE` */
export const show: Handler<[string]> = async (call, name) => {
  const navvy = await call.navvy();
  await navvy.queues.get(name);
  const [looks, tasks] = await Promise.all([lookAtQueues(navvy), navvy.tasks.queued(name)]);
  const look = looks.find((each) => each.name === name);
  if (look) call.out.show(QUEUE_VIEW, { ...look, tasks: tasks.map((task) => task.id) }, () => describe(look, tasks, call.out));
};

/** Every queue with what waits there and who serves it. */
export async function lookAtQueues(navvy: Navvy): Promise<QueueLook[]> {
  const [queues, agents, tasks] = await Promise.all([
    navvy.queues.list(),
    navvy.fleet.agents(),
    navvy.tasks.list({ status: ["queued", "running"] }),
  ]);
  return queues.map((queue) => lookAt(queue, agents, tasks));
}

function lookAt(record: QueueRecord, agents: AgentView[], tasks: TaskRecord[]): QueueLook {
  const { type: _type, ...queue } = record;
  const here = tasks.filter((task) => task.queue === queue.name);
  const waiting = here.filter((task) => task.status === "queued" && !task.parked);
  const running = here.filter((task) => task.status === "running");
  const oldest = waiting.map((task) => task.enqueuedAt ?? task.createdAt).sort()[0];
  const serving = agents.filter((view) => view.isUp && view.record.queues.includes(queue.name)).map((view) => view.record.name);
  return { ...queue, waiting: waiting.length, running: running.length, ...(oldest ? { oldest } : {}), agents: serving };
}

function describe(queue: QueueLook, tasks: TaskRecord[], out: Output): string {
  const who = queue.agents.length ? count(queue.agents.length, "agent") : "nobody serves it";
  const head = [`${queue.name}   ${queue.waiting} waiting`, queue.oldest && `oldest ${age(queue.oldest)}`, `${queue.running} running`, who]
    .filter(Boolean)
    .join(" · ");
  const paused = queue.paused ? [`${stateWord("paused")} by ${queue.paused.by}, ${age(queue.paused.at)} ago: ${queue.paused.reason}`] : [];
  if (tasks.length === 0) return [head, ...paused].join("\n");
  const rows = tasks.slice(0, out.format === "wide" ? tasks.length : 50).map((task, i) => ({ task, position: i + 1 }));
  const table = renderTable(
    [
      { title: "POS", value: ({ position }) => String(position), align: "right" },
      { title: "ID", value: ({ task }) => shortId(task.id) },
      { title: "NAME", value: ({ task }) => task.name, isFlexible: true },
      { title: "CLASS", value: ({ task }) => task.class },
      { title: "NEEDS", value: ({ task }) => needsWords(needsAsAsked(task.spec)) ?? "—", isFlexible: true },
      { title: "WAITED", value: ({ task }) => age(task.enqueuedAt), align: "right" },
      { title: "BY", value: ({ task }) => task.createdBy, isFlexible: true },
    ],
    rows,
    { width: tableWidth() },
  );
  const more = tasks.length > rows.length ? [`… and ${tasks.length - rows.length} more (-o wide)`] : [];
  return [head, ...paused, table, ...more].join("\n");
}
