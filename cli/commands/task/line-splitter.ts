import { StringDecoder } from "node:string_decoder";
import type { LogPiece } from "../../../broker/index.js";
import type { LogStream } from "../../../protocol/index.js";

/** A whole line of one stream; `at` is when its end was read. */
export interface LogLine {
  attempt: number;
  stream: LogStream;
  at: string;
  /** As in a piece of the log. */
  section?: string;
  text: string;
}

/** Cuts pieces of logs into lines, each stream on its own; characters cut in two by a piece's end are put together. */
export class LineSplitter {
  readonly #open = new Map<string, { decoder: StringDecoder; text: string; last: Omit<LogLine, "text"> }>();

  take({ attempt, stream, at, section, data }: LogPiece): LogLine[] {
    const key = `${attempt} ${stream} ${section ?? ""}`;
    const last = { attempt, stream, at, ...(section === undefined ? {} : { section }) };
    const state = this.#open.get(key) ?? { decoder: new StringDecoder("utf8"), text: "", last };
    this.#open.set(key, state);
    state.last = last;
    const lines = (state.text + state.decoder.write(Buffer.from(data))).split("\n");
    state.text = lines.pop() ?? "";
    return lines.map((text) => ({ ...last, text: text.replace(/\r$/, "") }));
  }

  /** Lines that never got their end. */
  rest(): LogLine[] {
    const open = [...this.#open.values()].map(({ decoder, text, last }) => ({ ...last, text: text + decoder.end() }));
    this.#open.clear();
    return open.filter((line) => line.text !== "");
  }
}
