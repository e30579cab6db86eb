import { NavvyError } from "../../../protocol/index.js";
import type { Notice, StartFailure } from "./wire.js";

/** How a main process ended. `lost`: its spawner died first, nobody knows. */
export interface ProcessEnd {
  code: number | null;
  signal: string | null;
  lost?: true;
}

/** What an agent knows of one tree that it asked its spawner for. */
export class Started {
  readonly started = deferred<number>();
  readonly exited = deferred<ProcessEnd>();
  readonly gone = deferred<void>();
  pid: number | undefined;
  hasExited = false;
  /** Nothing of it is left, or it never ran. */
  isOver = false;

  hear(notice: Extract<Notice, { key: string }>): void {
    switch (notice.event) {
      case "started":
        this.pid = notice.pid;
        this.started.resolve(notice.pid);
        return;
      case "exited":
        return this.#end({ code: notice.code, signal: notice.signal });
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
