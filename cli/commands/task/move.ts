import { type AbortProgress, type Navvy, sessionKey, sessionsBucket } from "../../../broker/index.js";
import { isEnded, NavvyError, type QueueClass, type TaskRecord } from "../../../protocol/index.js";
import type { Call, Handler } from "../../call.js";
import { shortId } from "../../output/words.js";
import { findTask } from "../../references.js";
import { usualQueue } from "./usual-queue.js";
import { TASK_VIEW } from "./view.js";

interface EnqueueOptions {
  queue?: string;
  class: QueueClass;
  delay?: number;
  createQueue?: boolean;
}

interface AbortOptions {
  reason: string;
  grace?: number;
  now?: boolean;
  wait?: boolean;
}

type Verb = "dequeue" | "reset" | "publish" | "archive" | "unarchive";

const VERBS: Record<Verb, { move: (navvy: Navvy, id: string) => Promise<TaskRecord>; done: string }> = {
  dequeue: { move: (navvy, id) => navvy.tasks.dequeue(id), done: "back to draft" },
  reset: { move: (navvy, id) => navvy.tasks.reset(id), done: "back to draft" },
  publish: { move: (navvy, id) => navvy.tasks.publish(id), done: "published" },
  archive: { move: (navvy, id) => navvy.tasks.archive(id), done: "archived" },
  unarchive: { move: (navvy, id) => navvy.tasks.archive(id, false), done: "no longer archived" },
};

/** The verbs that take only tasks. */
export function moveBy(verb: Verb): Handler<[string[]]> {
  const { move, done } = VERBS[verb];
  return (call, references) => each(call, references, async (navvy, task) => ({ task: await move(navvy, task.id), done }));
}

/** `navvy task enqueue TASK… -q QUEUE` */
export const enqueue: Handler<[string[]], EnqueueOptions> = (call, references) => {
  const { delay, createQueue = false } = call.options;
  const options = { class: call.options.class, createQueue, ...(delay === undefined ? {} : { delayMs: delay }) };
  return each(call, references, async (navvy, task) => {
    const queue = call.options.queue ?? usualQueue(task);
    return { task: await navvy.tasks.enqueue(task.id, { ...options, queue }), done: `queued on ${queue}` };
  });
};

/** `navvy task abort TASK…` */
export const abort: Handler<[string[]], AbortOptions> = (call, references) => {
  const { reason, now, wait } = call.options;
  const graceMs = now ? 0 : call.options.grace;
  return each(call, references, async (navvy, task) => {
    const { task: asked, progress } = await navvy.tasks.abort(task.id, { reason, ...(graceMs === undefined ? {} : { graceMs }) });
    const said = await sayAbort(navvy, asked, progress);
    if (!wait || isEnded(asked.status)) return { task: asked, done: said };
    const ended = await navvy.tasks.wait(asked.id);
    return { task: ended, done: ended.status };
  });
};

async function sayAbort(navvy: Navvy, task: TaskRecord, progress: AbortProgress): Promise<string> {
  if (progress === "aborted") return "aborted";
  if (progress === "delivered") return "abort delivered to its agent";
  if (!task.owner || (await sessionsBucket(navvy.bus).get(sessionKey(task.owner))))
    return "abort requested; its agent has not answered yet";
  return task.onDisconnect === "continue"
    ? `abort requested; its agent is out of reach: it ends when that is back, or with navvy task lose ${shortId(task.id)}`
    : "abort requested; its agent is gone: it ends as soon as it is taken back";
}

/** `navvy task lose TASK…` */
export const lose: Handler<[string[]], { reason?: string }> = (call, references) =>
  each(call, references, async (navvy, task) => {
    const lost = await navvy.tasks.lose(task.id, call.options.reason);
    return { task: lost, done: `${lost.status}: ${lost.reason}` };
  });

/** `navvy task unpark TASK…` */
export const unpark: Handler<[string[]]> = (call, references) =>
  each(call, references, async (navvy, task) => {
    const isWoken = await navvy.tasks.unpark(task.id, `by ${navvy.bus.actor}`);
    const latest = await navvy.tasks.get(task.id);
    const done = !isWoken
      ? `${latest.status}: there was nothing to wake`
      : latest.status === "running"
        ? "runs: it will not park now"
        : "woken";
    return { task: latest, done };
  });
/** `navvy task tag TASK… --add TAG --remove TAG` */
export const tag: Handler<[string[]], { add?: string[]; remove?: string[] }> = (call, references) => {
  const { add = [], remove: taken = [] } = call.options;
  if (add.length + taken.length === 0)
    throw new NavvyError("invalid_argument", "nothing was said to change", { fix: "navvy task tag TASK --add keep" });
  return each(call, references, async (navvy, task) => {
    const tagged = await navvy.tasks.tag(task.id, { add, remove: taken });
    return { task: tagged, done: tagged.tags.length > 0 ? `tags: ${tagged.tags.join(", ")}` : "no tags" };
  });
};

/** `navvy task rm TASK…` */
export const remove: Handler<[string[]], { force?: boolean }> = (call, references) =>
  each(call, references, async (navvy, task) => {
    await navvy.tasks.delete(task.id, { force: call.options.force ?? false });
    return { task, done: "deleted" };
  });

/** Finds all before it changes one: a slip in the third name leaves the first two alone. */
async function each(
  call: Call<unknown>,
  references: string[],
  change: (navvy: Navvy, task: TaskRecord) => Promise<{ task: TaskRecord; done: string }>,
): Promise<void> {
  const navvy = await call.navvy();
  const tasks = await Promise.all(references.map((reference) => findTask(call, reference)));
  const changed: { task: TaskRecord; done: string }[] = [];
  const isOneDocument = call.out.format === "json" && tasks.length > 1;
  const say = ({ task, done }: { task: TaskRecord; done: string }) =>
    call.out.show(TASK_VIEW, task, () => `${shortId(task.id)}  ${task.name}  ${done}`);
  try {
    for (const found of tasks) {
      const latest = await change(navvy, found);
      changed.push(latest);
      if (!isOneDocument) say(latest);
    }
  } finally {
    // Also when one was refused: what was changed before it has changed.
    if (isOneDocument)
      call.out.list(
        TASK_VIEW,
        changed.map(({ task }) => task),
      );
  }
}
