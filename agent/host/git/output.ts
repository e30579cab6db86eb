import { redactUrls } from "../../../protocol/index.js";

const KEPT_LINES = 10;
const PROGRESS_EVERY_MS = 2_000;
const PIECES = /([^\r\n]*)([\r\n])/g;
/** "Clear to the end of the line", which git sends to terminals with a remote's progress. */
const CLEAR = `${String.fromCharCode(27)}[K`;

/**
 * What git says on stderr, as lines without credentials. Progress, which git writes over itself, is told every other second.
 */
export class GitOutput {
  readonly #say: (line: string) => void;
  readonly #last: string[] = [];
  #rest = "";
  #progressAt = performance.now();

  constructor(say: (line: string) => void) {
    this.#say = say;
  }

  take(text: string): void {
    const all = this.#rest + text;
    let end = 0;
    for (const [whole, line = "", mark] of all.matchAll(PIECES)) {
      end += whole.length;
      if (mark === "\r") this.#progress(line);
      else this.#line(line);
    }
    this.#rest = all.slice(end);
  }

  /** @returns its last lines */
  end(): string[] {
    if (this.#rest !== "") this.#line(this.#rest);
    this.#rest = "";
    return this.#last;
  }

  #line(line: string): void {
    const shown = redactUrls(line.replaceAll(CLEAR, "").trimEnd());
    if (shown === "") return;
    this.#last.push(shown);
    if (this.#last.length > KEPT_LINES) this.#last.shift();
    this.#say(shown);
  }

  #progress(line: string): void {
    if (performance.now() - this.#progressAt < PROGRESS_EVERY_MS) return;
    this.#progressAt = performance.now();
    this.#say(redactUrls(line.replaceAll(CLEAR, "").trimEnd()));
  }
}
