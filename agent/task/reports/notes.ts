import type { Reported } from "../../../protocol/index.js";
import type { Piece } from "./events-file.js";

type Note = Reported["notes"][number];

const MAX_NOTES = 30;
const MAX_NOTE_CHARACTERS = 500;
const SHOWN_BAD_LINES = 3;

/** The latest notes with one more; it takes the place of one with the same key. */
export function withNote(notes: readonly Note[], { level, text, key }: Pick<Note, "level" | "text" | "key">): Note[] {
  const note = { at: new Date().toISOString(), level, text: text.slice(0, MAX_NOTE_CHARACTERS), ...(key === undefined ? {} : { key }) };
  return [...notes.filter((one) => key === undefined || one.key !== key), note].slice(-MAX_NOTES);
}

/** Lines that could not be read: counted, the first ones told with where they are. None fails the task. */
export class BadLines {
  readonly #tell: (key: string | undefined, text: string) => void;
  #count: number;

  constructor(tell: (key: string | undefined, text: string) => void, count = 0) {
    this.#tell = tell;
    this.#count = count;
  }

  get count(): number {
    return this.#count;
  }

  add(at: { file: Piece["file"]; line: number }, problem: string): void {
    if (this.#count++ < SHOWN_BAD_LINES) this.#tell(undefined, `line ${at.line} of ${at.file} was left out: ${problem}`);
  }

  finish(): void {
    if (this.#count > SHOWN_BAD_LINES)
      this.#tell("bad lines", `${this.#count} lines in all were left out, the first ${SHOWN_BAD_LINES} are told above`);
  }
}
