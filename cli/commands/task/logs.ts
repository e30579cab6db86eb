import type { LogStream, TaskRecord } from "../../../protocol/index.js";
import { isEnded } from "../../../protocol/index.js";
import type { Call, Handler } from "../../call.js";
import { EXIT, exitCodeOfOutcome } from "../../exit-codes.js";
import { age } from "../../output/quantities.js";
import { shortId } from "../../output/words.js";
import { findTask } from "../../references.js";
import { onInterrupt } from "../../signals.js";
import { LineSplitter, type LogLine } from "./line-splitter.js";
import { isOfSection } from "./log-section.js";

interface LogsOptions {
  follow?: boolean;
  attempt?: number;
  stream?: LogStream;
  section?: string;
  raw?: boolean;
  timestamps?: boolean;
  prefix?: boolean;
  exitCode?: boolean;
}

/** `navvy logs TASK`: what the task wrote to stdout goes to stdout, all else to stderr; in data formats everything is data. */
export const logs: Handler<[string], LogsOptions> = async (call, reference) => {
  const task = await findTask(call, reference);
  const stop = new AbortController();
  const off = onInterrupt(() => stop.abort());
  try {
    await printLog(call, task, stop.signal);
  } finally {
    off();
  }
  if (stop.signal.aborted) {
    call.out.talk(`come back with: navvy logs ${shortId(task.id)} -f`);
    return EXIT.interrupted;
  }
  if (task.expired?.logs !== undefined) call.out.talk(`its log was removed by retention ${age(task.expired.logs)} ago`);
  return call.options.exitCode ? ownExitCode(call, task) : EXIT.ok;
};

async function ownExitCode(call: Call<LogsOptions>, task: TaskRecord): Promise<number> {
  const latest = await (await call.navvy()).tasks.get(task.id);
  return isEnded(latest.status) ? exitCodeOfOutcome(latest.outcome) : EXIT.ok;
}

async function printLog(call: Call<LogsOptions>, task: TaskRecord, signal: AbortSignal): Promise<void> {
  const navvy = await call.navvy();
  const { follow = false, attempt, stream, section, raw } = call.options;
  const isLines = call.out.isData || call.options.timestamps || call.options.prefix;
  const splitter = new LineSplitter();
  const print = (line: LogLine) => printLine(call, task, line);
  for await (const piece of navvy.logs.read(task, { follow, signal, ...(attempt === undefined ? {} : { attempt }) })) {
    if (stream !== undefined && piece.stream !== stream) continue;
    if (section !== undefined && !isOfSection(piece, section)) continue;
    if (raw || !isLines) await call.out.bytes(piece.data, piece.stream === "out" ? process.stdout : process.stderr);
    else splitter.take(piece).forEach(print);
  }
  splitter.rest().forEach(print);
}

function printLine(call: Call<LogsOptions>, task: TaskRecord, line: LogLine): void {
  if (call.out.isData) return call.out.event("log", { task: task.id, ...line }, () => line.text);
  const parts = [call.options.timestamps ? line.at : "", call.options.prefix ? `${task.name} │` : "", line.text];
  const text = `${parts.filter((part) => part !== "").join(" ")}\n`;
  (line.stream === "out" ? process.stdout : process.stderr).write(text);
}
