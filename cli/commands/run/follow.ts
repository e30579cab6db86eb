import type { Navvy } from "../../../broker/index.js";
import { isEnded, isNavvyError, type TaskRecord } from "../../../protocol/index.js";
import type { Call } from "../../call.js";
import { outcomeWords } from "../../output/outcome.js";
import { duration, figure, size } from "../../output/quantities.js";
import { once, paint, shortId, stateWord } from "../../output/words.js";
import { onInterrupt } from "../../signals.js";
import { explain, explanationLines, shellHint } from "../../why.js";
import { omittedText } from "../task/log-printer.js";
import { lookAround } from "../why/look.js";

const NEWLINE = 0x0a;
/** After this long without being claimed, `run` says why. */
const EXPLAIN_AFTER_MS = 3_000;
/** A second Ctrl-C within this time aborts the task. */
const SECOND_CHANCE_MS = 2_000;

/**
 * Follows a task until it has ended: its log on stdout and stderr, its states on stderr. In data formats the log goes to
 * stderr, so that stdout holds the record alone.
 * @returns the ended record, or "detached" after a Ctrl-C
 */
export async function followRun(call: Call<unknown>, task: TaskRecord): Promise<TaskRecord | "detached"> {
  const navvy = await call.navvy();
  const stop = new AbortController();
  call.out.talk(`${stateWord("queued")}   ${task.name} (${shortId(task.id)}) → ${task.queue}`);
  const teller = new Teller(call, navvy);
  const off = handleInterrupts(call, { navvy, task, stop });
  try {
    const log = printLog(call, { navvy, task, teller, signal: stop.signal });
    const ended = await navvy.tasks.wait(task.id, { signal: stop.signal, onChange: (record) => teller.see(record) });
    await log;
    teller.end(ended);
    return ended;
  } catch (error) {
    if (stop.signal.aborted && isNavvyError(error, "aborted")) return "detached";
    throw error;
  } finally {
    off();
    teller.close();
    stop.abort();
  }
}

async function printLog(call: Call<unknown>, of: { navvy: Navvy; task: TaskRecord; teller: Teller; signal: AbortSignal }): Promise<void> {
  let heading: string | undefined;
  for await (const piece of of.navvy.logs.read(of.task, { follow: true, signal: of.signal })) {
    const section = piece.section && `${piece.section} ${piece.attempt}`;
    if (piece.section !== undefined && section !== heading) of.teller.heading(piece.section);
    heading = section ?? heading;
    if (piece.omitted !== undefined) of.teller.leftOut(piece.omitted);
    const isOut = piece.stream === "out" && !call.out.isData;
    const to = isOut ? process.stdout : process.stderr;
    await call.out.bytes(piece.data, to);
    of.teller.printed(piece.data, to);
  }
}

/** The first Ctrl-C detaches after a moment, in which a second one aborts the task. */
function handleInterrupts(
  call: Call<unknown>,
  { navvy, task, stop }: { navvy: Navvy; task: TaskRecord; stop: AbortController },
): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isAborting = false;
  const off = onInterrupt((signal) => {
    if (isAborting || signal === "SIGTERM") return stop.abort();
    if (timer === undefined) {
      call.out.talk(`\ndetaching; the task goes on. Come back: navvy logs ${shortId(task.id)} -f     Ctrl-C again now: abort it`);
      timer = setTimeout(() => stop.abort(), SECOND_CHANCE_MS);
      return;
    }
    clearTimeout(timer);
    isAborting = true;
    call.out.talk(`${stateWord("aborting")} ${shortId(task.id)}; Ctrl-C once more leaves without waiting for its end`);
    navvy.tasks
      .abort(task.id, { reason: "Ctrl-C at navvy run" })
      .catch((error: Error) => call.out.talk(`could not abort it: ${error.message}`));
  });
  return () => {
    off();
    clearTimeout(timer);
  };
}

/** Says on stderr what becomes of the task. */
class Teller {
  readonly #call: Call<unknown>;
  readonly #navvy: Navvy;
  readonly #startedMs = Date.now();
  #seen = "queued 0";
  #timer: NodeJS.Timeout | undefined;
  #isLineOpen = false;

  constructor(call: Call<unknown>, navvy: Navvy) {
    this.#call = call;
    this.#navvy = navvy;
  }

  /** What the log printed last: a line that has no end gets one before anything is said. */
  printed(data: Uint8Array, to: NodeJS.WriteStream): void {
    if (data.length === 0) return;
    // Text that went into a file leaves no line open on the terminal.
    const isSeen = to === process.stderr || process.stdout.isTTY === process.stderr.isTTY;
    this.#isLineOpen = isSeen && data.at(-1) !== NEWLINE;
  }

  /** A part of the preparations begins to print. */
  heading(section: string): void {
    this.#say(paint("dim", `▾ ${section}`, process.stderr));
  }

  /** Of a log over its limit. */
  leftOut(bytes: number): void {
    this.#say(omittedText(bytes));
  }

  #say(text: string): void {
    this.#call.out.talk(this.#isLineOpen ? `\n${text}` : text);
    this.#isLineOpen = false;
  }

  see(task: TaskRecord): void {
    const key = `${task.status} ${task.attempt}`;
    if (task.status === "queued") this.#timer ??= setTimeout(() => void this.#explain(task), EXPLAIN_AFTER_MS);
    else this.close();
    if (key === this.#seen) return;
    this.#seen = key;
    if (task.status === "running") {
      const after = duration(Date.now() - this.#startedMs);
      this.#say(
        `${stateWord("running")}  on ${task.owner?.agent ?? "?"} after ${after}${task.attempt > 1 ? `, attempt ${task.attempt}` : ""}`,
      );
    } else if (task.status === "queued") this.#say(`${stateWord("queued")}   again: ${task.reason}`);
  }

  end(task: TaskRecord): void {
    const attempt = task.attempts.at(-1);
    const ranMs = attempt?.endedAt ? Date.parse(attempt.endedAt) - Date.parse(attempt.startedAt ?? attempt.claimedAt) : undefined;
    const metrics = Object.entries(task.reported.metrics)
      .slice(0, 3)
      .map(([key, each]) => `${key} ${figure(each.last)}`);
    const artifacts = task.reported.artifacts.slice(0, 3).map((each) => `${each.name} ${size(each.sizeBytes)}`);
    const how =
      task.status === "completed"
        ? ""
        : `: ${task.outcome && task.status !== "aborted" ? outcomeWords(task.status, task.outcome) : once(task.status, task.reason)}`;
    const extras = [metrics.join("  "), artifacts.length ? `artifacts: ${artifacts.join(", ")}` : ""].filter(Boolean);
    this.#say([`${stateWord(task.status)}${ranMs === undefined ? "" : ` in ${duration(ranMs)}`}${how}`, ...extras].join("   "));
    for (const hint of shellHint(task)) this.#say(`  fix: ${hint}`);
    if (task.status === "failed") this.#say(paint("dim", `  more: navvy why ${shortId(task.id)}`, process.stderr));
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Comments must never end a run: what can not be explained just now is left unsaid. */
  async #explain(task: TaskRecord): Promise<void> {
    try {
      const latest = await this.#navvy.tasks.get(task.id);
      if (isEnded(latest.status) || latest.status === "running") return;
      for (const line of explanationLines(explain(await lookAround(this.#navvy, latest)))) this.#say(`  ${line}`);
    } catch (error) {
      this.#say(`  waiting; why can not be told just now: ${(error as Error).message}`);
    }
  }
}
