import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** A state is never colour alone: glyph and word. */
const STATES: Record<string, [string, Style]> = {
  draft: ["○", "dim"],
  queued: ["◌", "yellow"],
  parked: ["◌", "dim"],
  running: ["●", "cyan"],
  completed: ["✔", "green"],
  failed: ["✖", "red"],
  aborted: ["⊘", "magenta"],
  stopped: ["◼", "dim"],
  published: ["★", "green"],
  pending: ["○", "dim"],
  waiting: ["◌", "magenta"],
  cached: ["✔", "dim"],
  skipped: ["–", "dim"],
  claimed: ["◐", "cyan"],
  preparing: ["◐", "cyan"],
  executing: ["●", "cyan"],
  aborting: ["◍", "magenta"],
  collecting: ["◐", "cyan"],
  lost: ["↻", "yellow"],
  unreachable: ["✖", "yellow"],
  idle: ["○", "green"],
  busy: ["●", "cyan"],
  up: ["●", "green"],
  draining: ["◍", "yellow"],
  stopping: ["◍", "yellow"],
  disconnected: ["✖", "red"],
  gone: ["✖", "red"],
  left: ["–", "dim"],
  open: ["●", "green"],
  paused: ["◍", "yellow"],
  active: ["●", "green"],
  ended: ["–", "dim"],
};

/** `● running`; colours only where the stream shows them (NO_COLOR, FORCE_COLOR, no terminal). */
export function stateWord(state: string): string {
  const [glyph, style] = STATES[state] ?? ["?", "dim"];
  return paint(style, `${glyph} ${state}`);
}

/** Colours text for stdout, or for another stream. */
export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return styleText(style, text, { stream, validateStream: true } as Parameters<typeof styleText>[2]);
}

/** A reason that may repeat the word before it: `draining: draining: upgrade` is said once. */
export function once(word: string, reason: string): string {
  return reason.startsWith(`${word}: `) ? reason.slice(word.length + 2) : reason;
}

/** The last six characters of an id: what tables show and every command takes. */
export function shortId(id: string): string {
  return id.slice(-6);
}

/** `1 task`, `2 tasks`. */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
