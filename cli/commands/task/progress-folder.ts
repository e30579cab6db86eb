import { lastState } from "./line-splitter.js";

const NEWLINE = 0x0a;
const RETURN = 0x0d;
/** An open line that is longer is no progress bar: it is let through as it is. */
const LONGEST_BAR = 2 ** 20;
const NOTHING = new Uint8Array();

/**
 * Leaves of each line what it was in the end, so that a progress bar is one line in a file and not thousands. All else comes through
 * byte for byte; the line that is still open is held until it ends. One for each stream.
 */
export class ProgressFolder {
  #held: Uint8Array = NOTHING;
  /** The open line has been let through. */
  #isThrough = false;

  take(data: Uint8Array): Uint8Array {
    const given: Uint8Array[] = [];
    let from = 0;
    if (this.#isThrough) {
      from = data.indexOf(NEWLINE) + 1;
      if (from === 0) return data;
      this.#isThrough = false;
      given.push(data.subarray(0, from));
    }
    const end = data.lastIndexOf(NEWLINE) + 1;
    if (end > from) {
      given.push(foldLines(joined([this.#held, data.subarray(from, end)])));
      this.#held = NOTHING;
    }
    // Of a bar that has no end yet only its present state is kept.
    this.#held = lastState(joined([this.#held, data.subarray(Math.max(from, end))]));
    if (this.#held.length > LONGEST_BAR) {
      this.#isThrough = true;
      given.push(this.rest());
    }
    return joined(given);
  }

  /** The line that never got its end. */
  rest(): Uint8Array {
    const rest = this.#held;
    this.#held = NOTHING;
    return rest;
  }
}

/** @param lines whole ones */
function foldLines(lines: Uint8Array): Uint8Array {
  if (!lines.includes(RETURN)) return lines;
  const folded: Uint8Array[] = [];
  for (let from = 0; from < lines.length; ) {
    const end = lines.indexOf(NEWLINE, from) + 1;
    folded.push(lastState(lines.subarray(from, end - 1)), lines.subarray(end - 1, end));
    from = end;
  }
  return joined(folded);
}

function joined(parts: Uint8Array[]): Uint8Array {
  const full = parts.filter((part) => part.length > 0);
  return full.length === 1 ? (full[0] ?? NOTHING) : Buffer.concat(full);
}
