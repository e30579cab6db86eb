import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import type { Automaton } from "./automaton.js";
import { Redactor } from "./redactor.js";

/** A prompt is to be seen although it ends as a value begins. */
const IDLE_MS = 250;
/** A disk that is full may have room again. */
const RETRY_MS = 200;
const READ_BYTES = 64 * 1024;

/** From a named pipe into a file that is appended to. */
export interface StreamPlace {
  pipe: string;
  file: string;
}

/**
 * One stream of a program on its way to its spool file, without the values. It is read no faster than the disk takes it, so a full
 * disk or a frozen task backs the pipe up and nothing is lost.
 */
export class FilteredStream {
  /** Resolves when all of it is in the file, or nothing more can be. */
  readonly ended: Promise<void>;
  /** Somebody has it open for writing, or had. */
  isOpened = false;
  readonly #fd: number;
  readonly #file: number;
  readonly #source: Socket;
  readonly #redactor: Redactor;
  readonly #waiting: Buffer[] = [];
  #idle: NodeJS.Timeout | undefined;
  #retry: NodeJS.Timeout | undefined;
  #isOver = false;
  #resolve = () => {};

  constructor({ pipe, file }: StreamPlace, automaton: Automaton) {
    // Does not wait for a writer; and as long as we have it open, a writer does not wait for us.
    this.#fd = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK);
    this.#file = openSync(file, "a", 0o600);
    this.#redactor = new Redactor(automaton);
    this.ended = new Promise((resolve) => (this.#resolve = resolve));
    this.#source = new Socket({ fd: this.#fd, readable: true, writable: false });
    this.#source.on("data", (chunk: Buffer) => this.#take(chunk));
    this.#source.on("error", () => {}); // the close that follows says so
    this.#source.on("close", () => this.#finish());
  }

  /** Looks for a writer: of a pipe that nobody has open a read says that it is at its end. */
  look(): void {
    if (this.#isOver || this.isOpened) return;
    try {
      const bytes = Buffer.alloc(READ_BYTES);
      const length = readSync(this.#fd, bytes);
      if (length > 0) this.#take(bytes.subarray(0, length));
    } catch (error) {
      this.isOpened = (error as NodeJS.ErrnoException).code === "EAGAIN";
    }
  }

  /** Takes what is in the pipe now, and no more: who still writes is no part of the task any more. */
  end(): void {
    if (this.#isOver) return;
    const rest = this.#source.read() as Buffer | null;
    if (rest !== null) this.#take(rest);
    try {
      for (;;) {
        const bytes = Buffer.alloc(READ_BYTES);
        const length = readSync(this.#fd, bytes);
        if (length === 0) break;
        this.#take(bytes.subarray(0, length));
      }
    } catch {
      // Nothing is in it for now.
    }
    this.#source.destroy();
  }

  #take(chunk: Buffer): void {
    this.isOpened = true;
    this.#write(this.#redactor.push(chunk));
    this.#idle ??= setTimeout(() => this.#write(this.#redactor.idle()), IDLE_MS);
    this.#idle.refresh();
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#idle);
    this.#write(this.#redactor.end());
  }

  #write(bytes: Buffer): void {
    if (bytes.length > 0) this.#waiting.push(bytes);
    if (this.#retry === undefined) this.#flush();
  }

  #flush(): void {
    try {
      for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
        const written = writeSync(this.#file, next);
        if (written < next.length) this.#waiting[0] = next.subarray(written);
        else this.#waiting.shift();
      }
    } catch {
      this.#source.pause();
      this.#retry = setTimeout(() => {
        this.#retry = undefined;
        this.#flush();
      }, RETRY_MS);
      return;
    }
    if (!this.#isOver) return void this.#source.resume();
    closeSync(this.#file);
    this.#resolve();
  }
}
