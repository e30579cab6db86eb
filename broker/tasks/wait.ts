import { isEnded, NavvyError, type TaskRecord } from "../../protocol/index.js";
import type { Bucket } from "../bucket.js";
import type { Bus } from "../bus.js";
import { Watch } from "../watch.js";

export interface WaitOptions {
  /** What to wait for; default: the task has ended. */
  until?: (task: TaskRecord) => boolean;
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Called with every version of the record on the way. */
  onChange?: (task: TaskRecord) => void;
}

interface Parts {
  bus: Bus;
  bucket: Bucket<typeof TaskRecord>;
  find: (reference: string) => Promise<TaskRecord>;
}

/**
 * Waits by a watch on the record's key; nothing polls.
 * @throws NavvyError timeout, aborted (the signal), not_found (deleted meanwhile)
 */
export async function waitForTask(parts: Parts, reference: string, options: WaitOptions): Promise<TaskRecord> {
  const { id } = await parts.find(reference);
  const isDone = options.until ?? ((task: TaskRecord) => isEnded(task.status));
  let timer: NodeJS.Timeout | undefined;
  let watch: Watch | undefined;
  let stop = () => {};
  let isOver = false;
  try {
    return await new Promise<TaskRecord>((resolve, reject) => {
      stop = () => reject(new NavvyError("aborted", `stopped waiting for task ${id}`));
      if (options.signal?.aborted) return stop();
      options.signal?.addEventListener("abort", stop, { once: true });
      if (options.timeoutMs !== undefined)
        timer = setTimeout(() => reject(late(id, options.timeoutMs ?? 0)), Math.min(options.timeoutMs, 2 ** 31 - 1));
      const onTask = (task: TaskRecord) => {
        options.onChange?.(task);
        if (isDone(task)) resolve(task);
      };
      watchRecord(parts, id, { onTask, onFail: reject }).then((made) => {
        watch = made;
        if (isOver) made.close(); // the time was up before the server had answered: a watch left open keeps the process alive
      }, reject);
    });
  } finally {
    isOver = true;
    clearTimeout(timer);
    options.signal?.removeEventListener("abort", stop);
    watch?.close();
  }
}

function watchRecord(
  parts: Parts,
  id: string,
  on: { onTask: (task: TaskRecord) => void; onFail: (error: unknown) => void },
): Promise<Watch> {
  return Watch.open(parts.bus, parts.bucket as unknown as Bucket<never>, {
    keys: id,
    onEntry: (raw) => {
      try {
        const entry = parts.bucket.read(raw);
        if (entry) on.onTask(entry.value);
        else on.onFail(new NavvyError("not_found", `task ${id} was deleted`));
      } catch (error) {
        on.onFail(error);
      }
    },
  });
}

function late(id: string, timeoutMs: number): NavvyError {
  return new NavvyError("timeout", `task ${id} had not ended after ${timeoutMs} ms; it goes on`, { fix: `navvy wait ${id.slice(-8)}` });
}
