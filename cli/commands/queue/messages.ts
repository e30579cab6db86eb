import type { Navvy } from "../../../broker/index.js";
import { decode, isNavvyError, type Lane, type TaskRecord, Ticket } from "../../../protocol/index.js";
import { shortId } from "../../output/words.js";
import { aboutTask, type Dead, fresh } from "./dead-row.js";

/** A queued record is left alone for this long: its message may be on its way. */
const SETTLE_MS = 5_000;
/** Messages of one lane that are looked at; further ones are taken for good. */
const MAX_READ = 1_000;

/** What was read on the lanes. */
interface Reading {
  dead: Dead[];
  /** Tickets that stand on a lane, as `<id>.<ticket>`. */
  tickets: Set<string>;
  /** Lanes that were too long to be read to their end. */
  cut: Set<string>;
}

/** Messages that nobody will run, and queued records without a message. */
export async function deadMessages(navvy: Navvy, tasks: TaskRecord[], queue?: string): Promise<Dead[]> {
  const lanes = (await navvy.queues.messages.counts()).filter(({ lane }) => queue === undefined || lane.queue === queue);
  const reading: Reading = { dead: [], tickets: new Set(), cut: new Set() };
  const queued = new Map(tasks.filter((task) => task.status === "queued").map((task) => [task.id, task]));
  await Promise.all(lanes.map(({ lane }) => readLane(navvy, { lane, queued }, reading)));
  const lost = [...queued.values()].filter(
    (task) => isDue(task) && !task.parked && !reading.cut.has(keyOf(task)) && !reading.tickets.has(ticketOf(task)),
  );
  const looked = await Promise.all(lost.map(async (task) => ({ task, now: await fresh(navvy, task.id) })));
  const silent = looked
    .filter(({ task, now }) => now?.status === "queued" && now.ticket === task.ticket)
    .map(({ task }) => messageless(task));
  return [...silent, ...reading.dead];
}

async function readLane(navvy: Navvy, from: { lane: Lane; queued: Map<string, TaskRecord> }, reading: Reading): Promise<void> {
  const { lane, queued } = from;
  const ghosts = new Set(await navvy.queues.messages.ghosts(lane));
  let count = 0;
  for await (const { sequence, storedAt, data } of navvy.queues.messages.read(lane)) {
    if (++count > MAX_READ) return void reading.cut.add(keyOf(lane));
    const row = { queue: lane.queue, sequence, since: storedAt.toISOString(), fix: [`navvy queue dead ${lane.queue} --mend`] };
    const ticket = read(data, `message ${sequence}`);
    if (ghosts.has(sequence)) {
      reading.dead.push({ kind: "ghost", ...row, why: `message ${sequence} was acknowledged, and no agent will ever be given it` });
    } else if (ticket instanceof Error) {
      reading.dead.push({ kind: "unreadable", ...row, why: ticket.message, fix: [`navvy agent start -q ${lane.queue}   (sets it aside)`] });
    } else {
      reading.tickets.add(`${ticket.id}.${ticket.ticket}`);
      const known = queued.get(ticket.id);
      const why = known?.ticket === ticket.ticket ? undefined : await whyStale(navvy, ticket);
      if (why) reading.dead.push({ kind: "stale", ...row, why: `${why}; it is dropped when its turn comes` });
    }
  }
}

function read(data: Uint8Array, what: string): Ticket | Error {
  try {
    return decode(Ticket, data, what);
  } catch (error) {
    if (!isNavvyError(error)) throw error;
    return error;
  }
}

async function whyStale(navvy: Navvy, ticket: Ticket): Promise<string | undefined> {
  const entry = await navvy.tasks.bucket.get(ticket.id).catch((error: unknown) => {
    if (!isNavvyError(error)) throw error;
    return "unreadable" as const; // a newer navvy's record: not ours to judge
  });
  if (entry === "unreadable") return undefined;
  if (!entry) return `task ${shortId(ticket.id)} is not there`;
  const { status, ticket: latest } = entry.value;
  if (status !== "queued") return `task ${shortId(ticket.id)} is ${status}`;
  return latest === ticket.ticket
    ? undefined
    : `task ${shortId(ticket.id)} was queued again since (ticket ${latest}, not ${ticket.ticket})`;
}

function messageless(task: TaskRecord): Dead {
  return {
    kind: "no_message",
    ...aboutTask(task),
    since: task.enqueuedAt ?? task.changedAt,
    why: "its ticket is not on its lane; whoever coordinates publishes it again within seconds",
    fix: ["navvy agent start   (when none is up)", `navvy queue dead ${task.queue} --mend`],
  };
}

const ticketOf = (task: TaskRecord) => `${task.id}.${task.ticket}`;
const keyOf = ({ queue, class: name, shape }: Pick<TaskRecord, "queue" | "class" | "shape">) => `${queue}.${name}.${shape}`;

function isDue(task: TaskRecord): boolean {
  const dueAt = Math.max(Date.parse(task.enqueuedAt ?? task.changedAt), task.notBefore ? Date.parse(task.notBefore) : 0);
  return Date.now() - dueAt > SETTLE_MS;
}
