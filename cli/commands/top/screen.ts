const ENTER = "\x1b[?1049h\x1b[?25l";
/** q, Q, Ctrl-C: in raw mode it is a key and no signal. */
const KEYS = ["q", "Q", "\u0003"];
const LEAVE = "\x1b[?25h\x1b[?1049l";

/** The terminal's alternate screen: what was there before comes back at the end. */
export class Screen {
  #shown: string[] = [];

  constructor(readonly terminal: NodeJS.WriteStream = process.stdout) {
    terminal.write(ENTER);
    terminal.on("resize", this.#forget);
  }

  get width(): number {
    return this.terminal.columns || 80;
  }

  get height(): number {
    return this.terminal.rows || 24;
  }

  /** Writes only the lines that changed. */
  draw(lines: string[]): void {
    const rows = Math.max(lines.length, this.#shown.length);
    let text = "";
    for (let row = 0; row < rows; row++) {
      if (lines[row] !== this.#shown[row]) text += `\x1b[${row + 1};1H${lines[row] ?? ""}\x1b[0m\x1b[K`;
    }
    this.#shown = lines;
    if (text !== "") this.terminal.write(text);
  }

  close(): void {
    this.terminal.off("resize", this.#forget);
    this.terminal.write(LEAVE);
  }

  readonly #forget = (): void => {
    this.#shown = [];
    this.terminal.write("\x1b[2J");
  };
}

/** Calls back when q or Ctrl-C is pressed; returns how to stop listening. */
export function onQuitKey(quit: () => void, input: NodeJS.ReadStream = process.stdin): () => void {
  if (!input.isTTY) return () => {};
  const onKey = (key: Buffer) => {
    if (KEYS.some((each) => key.includes(each))) quit();
  };
  input.setRawMode(true);
  input.on("data", onKey);
  return () => {
    input.off("data", onKey);
    input.setRawMode(false);
    input.pause();
  };
}
