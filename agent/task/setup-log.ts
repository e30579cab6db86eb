import { appendFile, open, readFile } from "node:fs/promises";
import { sizeOf } from "../host/size-of.js";
import type { AttemptFolder } from "./folder.js";

/** A part of the preparations, from that byte of the file on. */
interface Section {
  name: string;
  offset: number;
}

const TAIL_LINES = 20;
const TAIL_BYTES = 4096;

/**
 * What happens before the program, as output of the task: code, image, set-up, each in a named section of one spool file, which is
 * shipped as stream `navvy` from its first byte on. Programs of the preparations append to the file, both of their streams.
 */
export class SetupLog {
  /** The spool file. */
  readonly path: string;
  /** What is said here is written down without the values of the task's secrets. */
  clean: (text: string) => string = (text) => text;
  readonly #sectionsPath: string;
  readonly #sections: Section[];
  #failedTail: string | undefined;
  #isTouched = false;

  constructor(folder: Pick<AttemptFolder, "setup" | "sections">, sections: Section[] = []) {
    this.path = folder.setup;
    this.#sectionsPath = folder.sections;
    this.#sections = sections;
  }

  /** With the sections that an earlier agent wrote down. */
  static async resume(folder: Pick<AttemptFolder, "setup" | "sections">): Promise<SetupLog> {
    const text = await readFile(folder.sections, "utf8").catch(() => "");
    const log = new SetupLog(
      folder,
      text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as Section])),
    );
    log.#isTouched = true;
    return log;
  }

  /** Nothing was ever written: most tasks prepare without a word. */
  get isEmpty(): boolean {
    return !this.#isTouched;
  }

  /** The last lines of the section that failed. */
  get failedTail(): string | undefined {
    return this.#failedTail;
  }

  /** What is written while `act` runs belongs to that section. Sections follow each other, none lies in another. */
  async section<T>(name: string, act: () => Promise<T>): Promise<T> {
    this.#isTouched = true;
    const section = { name: this.clean(name), offset: await sizeOf(this.path) };
    this.#sections.push(section);
    await appendFile(this.#sectionsPath, `${JSON.stringify(section)}\n`);
    try {
      return await act();
    } catch (error) {
      this.#failedTail = await lastLines(this.path, section.offset);
      throw error;
    }
  }

  /** A line of navvy's own. */
  async say(text: string): Promise<void> {
    this.#isTouched = true;
    await appendFile(this.path, `${this.clean(text)}\n`, { mode: 0o600 });
  }

  /** The section that a byte belongs to, and where it ends. */
  at(offset: number): { section?: string; end: number } {
    const next = this.#sections.findIndex((section) => section.offset > offset);
    const here = this.#sections[next < 0 ? this.#sections.length - 1 : next - 1];
    const end = next < 0 ? Number.POSITIVE_INFINITY : (this.#sections[next]?.offset ?? 0);
    return { ...(here && here.offset <= offset ? { section: here.name } : {}), end };
  }
}

async function lastLines(path: string, from: number): Promise<string> {
  const start = Math.max(from, (await sizeOf(path)) - TAIL_BYTES);
  const file = await open(path, "r").catch(() => undefined);
  if (!file) return "";
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(TAIL_BYTES), 0, TAIL_BYTES, start);
    return buffer.subarray(0, bytesRead).toString("utf8").trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
  } finally {
    await file.close();
  }
}
