import type { Navvy } from "../../../broker/index.js";
import { isEnded, type LogStream, NavvyError, type TaskRecord } from "../../../protocol/index.js";
import type { Call, Handler } from "../../call.js";
import { EXIT, exitCodeOfOutcome } from "../../exit-codes.js";
import { age } from "../../output/quantities.js";
import { paint, shortId } from "../../output/words.js";
import { findTask } from "../../references.js";
import { onInterrupt } from "../../signals.js";
import { LinePrinter, type LogPrinter, PlainPrinter, RawPrinter } from "./log-printer.js";
import { isOfSection } from "./log-section.js";
import { inOrderOfTime } from "./merge.js";

interface LogsOptions {
  follow?: boolean;
  attempt?: number;
  stream?: LogStream;
  section?: string;
  since?: string;
  until?: string;
  grep?: RegExp;
  tail?: number;
  raw?: boolean;
  timestamps?: boolean;
  prefix?: boolean;
  children?: boolean;
  exitCode?: boolean;
}

/**
 * `navvy logs TASK...`: what the task wrote to stdout goes to stdout, all else to stderr; in data formats everything is data. Several
 * tasks are told apart by a prefix.
 */
export const logs: Handler<[string[]], LogsOptions> = async (call, references) => {
  checkOptions(call.options, references);
  const tasks: TaskRecord[] = [];
  for (const reference of references) tasks.push(await findTask(call, reference));
  const stop = new AbortController();
  const off = onInterrupt(() => stop.abort());
  try {
    await printLogs(call, tasks, stop.signal);
  } finally {
    off();
  }
  if (stop.signal.aborted) {
    call.out.talk(`come back with: navvy logs ${tasks.map((task) => shortId(task.id)).join(" ")} -f`);
    return EXIT.interrupted;
  }
  for (const { expired } of tasks)
    if (expired?.logs !== undefined) call.out.talk(`its log was removed by retention ${age(expired.logs)} ago`);
  return call.options.exitCode ? ownExitCode(call, tasks) : EXIT.ok;
};

/** @throws NavvyError invalid_argument for flags that contradict each other */
function checkOptions(options: LogsOptions, references: string[]): void {
  const { raw, since, until, children } = options;
  const forLines = (["grep", "tail", "timestamps", "prefix"] as const).find((name) => options[name] !== undefined);
  if (raw && forLines)
    throw new NavvyError("invalid_argument", `--raw and --${forLines} exclude each other`, {
      why: `--raw gives bytes as they came, --${forLines} looks at lines`,
      fix: "leave out one of them",
    });
  if (raw && (references.length > 1 || children))
    throw new NavvyError("invalid_argument", "--raw gives the bytes of one task", { fix: "leave out --raw, or name one task" });
  if (since !== undefined && until !== undefined && since > until)
    throw new NavvyError("invalid_argument", `--since ${since} is later than --until ${until}`, { fix: "exchange them" });
}

/** The first that is not 0. */
async function ownExitCode(call: Call<LogsOptions>, tasks: TaskRecord[]): Promise<number> {
  const navvy = await call.navvy();
  for (const { id } of tasks) {
    const { status, outcome } = await navvy.tasks.get(id);
    const code = isEnded(status) ? exitCodeOfOutcome(outcome) : EXIT.ok;
    if (code !== EXIT.ok) return code;
  }
  return EXIT.ok;
}

async function printLogs(call: Call<LogsOptions>, tasks: TaskRecord[], signal: AbortSignal): Promise<void> {
  const navvy = await call.navvy();
  const { follow, children } = call.options;
  const isOne = tasks.length === 1 && !children;
  if (!follow) {
    const found = await Promise.all((children ? tasks : []).map((task) => navvy.tasks.list({ parent: task.id })));
    const all = [...tasks, ...found.flatMap((some) => some.toReversed())];
    return printStored(call, all, { navvy, isOne, signal });
  }
  const shown = new Map<string, Promise<void>>();
  const show = (task: TaskRecord) => {
    if (!shown.has(task.id)) shown.set(task.id, printLive(call, task, { navvy, isOne, signal }));
  };
  tasks.forEach(show);
  const watch = children ? await watchChildren(navvy, tasks, show) : undefined;
  try {
    // Children may come as long as one of their parents runs.
    for (let count = 0; count < shown.size; ) {
      count = shown.size;
      await Promise.all(shown.values());
    }
  } finally {
    watch?.close();
  }
}

function watchChildren(navvy: Navvy, parents: TaskRecord[], show: (task: TaskRecord) => void) {
  const ids = new Set(parents.map((task) => task.id));
  return navvy.tasks.watch(">", { onTask: (task) => task.parent !== undefined && ids.has(task.parent) && show(task) });
}

interface Reading {
  navvy: Navvy;
  /** No other task is printed beside it. */
  isOne: boolean;
  signal: AbortSignal;
}

/** What there is, of several tasks in the order of time. */
async function printStored(call: Call<LogsOptions>, tasks: TaskRecord[], reading: Reading): Promise<void> {
  const readings = tasks.map((task) => ({ printer: printerOf(call, task, reading), pieces: read(call, task, reading) }));
  for await (const { piece, from } of inOrderOfTime(readings)) await from.printer.take(piece);
  for (const { printer } of readings) await printer.end();
}

/** History first, then live. */
async function printLive(call: Call<LogsOptions>, task: TaskRecord, reading: Reading): Promise<void> {
  const printer = printerOf(call, task, reading);
  const onCaughtUp = () => printer.caughtUp();
  for await (const piece of read(call, task, { ...reading, onCaughtUp })) await printer.take(piece);
  await printer.end();
}

async function* read(call: Call<LogsOptions>, task: TaskRecord, { navvy, signal, ...more }: Reading & { onCaughtUp?: () => void }) {
  const { follow = false, attempt, stream, section, since, until } = call.options;
  const { onCaughtUp } = more;
  const options = { follow, signal, since, until, onCaughtUp, ...(attempt === undefined ? {} : { attempt }) };
  for await (const piece of navvy.logs.read(task, options)) {
    if (stream !== undefined && piece.stream !== stream) continue;
    if (section !== undefined && !isOfSection(piece, section)) continue;
    yield piece;
  }
}

function printerOf(call: Call<LogsOptions>, task: TaskRecord, { isOne }: Reading): LogPrinter {
  const { out, options } = call;
  const { raw, timestamps, grep, tail, follow } = options;
  if (raw) return new RawPrinter(out);
  const prefix = options.prefix || !isOne ? prefixOf(task, isOne) : undefined;
  if (out.isData || timestamps || prefix !== undefined || grep || tail !== undefined)
    return new LinePrinter(out, { task: task.id, prefix, timestamps, grep, tail, follow });
  return new PlainPrinter(out, { folds: !(follow && process.stdout.isTTY) });
}

const COLOURS = ["cyan", "magenta", "yellow", "green", "blue"] as const;

/** Of several the same name may stand for more than one: the id says which, and its colour. */
function prefixOf(task: TaskRecord, isOne: boolean): string {
  if (isOne) return `${task.name} │`;
  const colour = COLOURS[(task.id.codePointAt(task.id.length - 1) ?? 0) % COLOURS.length] ?? "cyan";
  return paint(colour, `${task.name} ${shortId(task.id)} │`, process.stdout);
}
