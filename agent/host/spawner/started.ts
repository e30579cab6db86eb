import { NavvyError } from "../../../protocol/index.js";
import type { ProcessEnd } from "../../runners/runner.js";
import type { StartFailure, TreeNotice, TreeState } from "./wire.js";

/** What an agent knows of one tree that it asked its spawner for, or found there. */
export class Started {
  readonly started = deferred<number>();
  readonly exited = deferred<ProcessEnd>();
  readonly gone = deferred<void>();
  pid: number | undefined;
  hasExited = false;
  /** Nothing of it is left, or it never ran. */
  isOver = false;

  /** What the spawner tells of a tree that was there before us. */
  static adopt(state: TreeState): Started {
    const { key, pid, code = null, signal = null, endedBy, isOutOfMemory, failure } = state;
    const started = new Started();
    if (pid !== null) started.hear({ event: "started", key, pid });
    if (failure !== undefined) started.hear({ event: "failed", key, ...failure });
    else if (state.state !== "running") started.hear({ event: "exited", key, code, signal, endedBy, isOutOfMemory });
    if (state.state === "gone") started.hear({ event: "gone", key });
    return started;
  }

  hear(notice: TreeNotice): void {
    switch (notice.event) {
      case "started":
        this.pid = notice.pid;
        this.started.resolve(notice.pid);
        return;
      case "ending":
        return;
      case "exited": {
        const { code, signal, endedBy, isOutOfMemory } = notice;
        return this.#end({ code, signal, ...(endedBy && { endedBy }), ...(isOutOfMemory && { isOutOfMemory }) });
      }
      case "failed":
        this.started.reject(toError(notice.key, notice));
        this.#end({ code: null, signal: null });
        return this.#over();
      case "gone":
        return this.#over();
    }
  }

  /** Its spawner died: how it ends will never be known. */
  lose(error: NavvyError): void {
    this.started.reject(error);
    this.#end({ code: null, signal: null, lost: true });
  }

  #end(end: ProcessEnd): void {
    this.hasExited = true;
    this.exited.resolve(end);
  }

  #over(): void {
    this.isOver = true;
    this.gone.resolve();
  }
}

interface Deferred<T> {
  promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

function deferred<T>(): Deferred<T> {
  const parts = {} as Deferred<T>;
  parts.promise = new Promise<T>((resolve, reject) => Object.assign(parts, { resolve, reject }));
  // Whoever waits is told; that nobody waits (any more) is no failure.
  parts.promise.catch(() => {});
  return parts;
}

function toError(key: string, failure: StartFailure): NavvyError {
  const code = failure.errno === "ENOSPC" || failure.errno === "EDQUOT" ? "disk_full" : "setup_failed";
  return new NavvyError(code, failure.message, { detail: { key, errno: failure.errno }, ...(failure.fix && { fix: failure.fix }) });
}
