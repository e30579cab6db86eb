import { type Navvy, sessionsBucket, snapshot } from "../../../broker/index.js";
import type { FleetEvent, TaskRecord } from "../../../protocol/index.js";
import { shortId } from "../../output/words.js";
import { aboutTask, type Dead, fresh } from "./dead-row.js";
import { deadMessages } from "./messages.js";

/** Everything that is stuck or was set aside, on one queue or on all: tasks first, then messages. */
export async function lookIntoLimbo(navvy: Navvy, queue?: string): Promise<Dead[]> {
  const filter = { status: ["queued" as const, "running" as const, "failed" as const], ...(queue === undefined ? {} : { queue }) };
  // Tasks first, sessions second: a task claimed in between has its session in the second reading.
  const tasks = await navvy.tasks.list(filter);
  const [running, messages, aside] = await Promise.all([
    sessionless(navvy, tasks),
    deadMessages(navvy, tasks, queue),
    navvy.queues.setAside(queue),
  ]);
  const lost = tasks.filter((task) => task.status === "failed" && task.outcome?.kind === "lost").map(lostForGood);
  return [...running, ...messages.filter((each) => each.task), ...lost, ...aside.map(setAside), ...messages.filter((each) => !each.task)];
}

async function sessionless(navvy: Navvy, tasks: TaskRecord[]): Promise<Dead[]> {
  const sessions = await snapshot(navvy.bus, sessionsBucket(navvy.bus));
  const alive = new Set(sessions.map(({ value }) => value.session));
  const suspects = tasks.filter((task) => task.status === "running" && !alive.has(task.owner?.session ?? ""));
  const looked = await Promise.all(suspects.map(async ({ id, owner }) => ({ owner, task: await fresh(navvy, id) })));
  return looked.flatMap(({ owner, task }) =>
    task?.status === "running" && task.owner?.session === owner?.session ? [withoutSession(task)] : [],
  );
}

function withoutSession(task: TaskRecord): Dead {
  const agent = task.owner?.agent ?? "?";
  const lose = `navvy task lose ${shortId(task.id)}`;
  if (task.onDisconnect !== "continue") {
    const why = `attempt ${task.attempt} has lost agent ${agent}; whoever coordinates takes it back in a moment`;
    return {
      kind: "no_session",
      ...aboutTask(task),
      agent,
      since: task.changedAt,
      why,
      fix: ["navvy agent start   (when none is up)", lose],
    };
  }
  return {
    kind: "unreachable",
    ...aboutTask(task),
    agent,
    since: task.unreachableAt ?? task.changedAt,
    why: `attempt ${task.attempt} may run on at agent ${agent}, which is out of reach (onDisconnect: continue)`,
    fix: [`navvy agent start --name ${agent}   (on its machine: it takes the task over)`, `${lose}   (given up: it is queued again)`],
  };
}

function lostForGood(task: TaskRecord): Dead {
  const id = shortId(task.id);
  const fix = [`navvy task reset ${id} && navvy task enqueue ${id}`, `navvy task archive ${id}`];
  const agent = task.attempts.at(-1)?.agent;
  const since = task.endedAt ?? task.changedAt;
  return { kind: "lost", ...aboutTask(task), ...(agent ? { agent } : {}), since, why: task.reason, fix };
}

function setAside(event: FleetEvent): Dead {
  const { sequence, base64 } = event.data ?? {};
  return {
    kind: "set_aside",
    queue: event.id,
    ...(typeof sequence === "number" ? { sequence } : {}),
    since: event.at,
    why: event.reason,
    fix: [`navvy queue dead ${event.id} --seen   (after a look at its bytes: -o json)`],
    ...(typeof base64 === "string" ? { base64 } : {}),
  };
}
