import { isEnded, isNavvyError, type TaskRecord } from "../../../protocol/index.js";
import type { Act, ApiAttempt } from "../call.js";
import { bodyOf, WaitBody } from "./bodies.js";
import { plain } from "./plain.js";

/** Several at once: answers when one of them has ended, or all have, or the time is up. */
export const postWait: Act = async (call) => {
  const { tasks, for: what, seconds } = await bodyOf(call, WaitBody);
  const { attempt, request, limits } = call;
  request.socket.setTimeout(seconds * 1000 + limits.idleMs);
  const records = await Promise.all(tasks.map((task) => attempt.navvy.tasks.get(task)));
  const over = new AbortController();
  const ended = new Map<string, TaskRecord>();
  const options = { signal: AbortSignal.any([over.signal, call.signal]), timeoutMs: seconds * 1000 };
  const waits = records.map(async (known) => {
    const record = isEnded(known.status) ? known : await untilEnded(attempt, known.id, options);
    if (record) ended.set(known.id, record);
    return record;
  });
  try {
    if (what === "all") await Promise.all(waits);
    else await Promise.race([Promise.all(waits), firstOf(waits)]);
  } finally {
    over.abort();
    await Promise.allSettled(waits);
  }
  const ids = [...new Set(records.map(({ id }) => id))];
  return { ended: ids.flatMap((id) => plain(ended.get(id)) ?? []), open: ids.filter((id) => !ended.has(id)) };
};

/** Undefined when the time is up, or nobody asks any more. */
async function untilEnded(
  { navvy }: ApiAttempt,
  id: string,
  options: { signal: AbortSignal; timeoutMs: number },
): Promise<TaskRecord | undefined> {
  try {
    return await navvy.tasks.wait(id, options);
  } catch (error) {
    if (isNavvyError(error, "timeout") || isNavvyError(error, "aborted")) return undefined;
    throw error;
  }
}

/** The first that has ended; one whose time is up is none. */
function firstOf(waits: readonly Promise<TaskRecord | undefined>[]): Promise<TaskRecord> {
  return new Promise((resolve, reject) => {
    for (const wait of waits) wait.then((record) => record && resolve(record), reject);
  });
}
