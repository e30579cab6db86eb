import type { LogPiece } from "../../../broker/index.js";

/** What the program itself prints, for those who ask for it by section. */
const PROGRAM = "run";

/** Whether a piece belongs to a section, or to a part of it: `setup: pip` is part of `setup`. */
export function isOfSection({ stream, section }: Pick<LogPiece, "stream" | "section">, wanted: string): boolean {
  const own = stream === "navvy" ? (section ?? "") : PROGRAM;
  return own === wanted || own.startsWith(`${wanted}:`);
}
