import { type Command, Option } from "commander";
import { collect, parseCount, parseDuration, parsePattern, parseTime } from "../arguments.js";
import { act } from "../call.js";
import { CLASS_NAMES } from "./class-names.js";
import { addTaskOptions } from "./task-options.js";

const TASK = "id, suffix of it, name, project/name, or @last";

/** `navvy task` */
export function taskCommand(program: Command): void {
  const task = program.command("task").aliases(["tasks", "t"]).description("what to run, with what, and how it went");
  makers(task);
  movers(task);
  rousers(task);
  const ls = task.command("ls").description("list tasks, newest first");
  lists(ls);
  ls.action(act(async () => (await import("./task/list.js")).list));
  task
    .command("show")
    .description("everything about a task")
    .argument("<task>", TASK)
    .action(act(async () => (await import("./task/show.js")).show));
  task
    .command("metrics")
    .description("a task's metrics: figures, or with --key every point")
    .argument("<task>", TASK)
    .option("--key <key>", "one metric's points")
    .option("--attempt <n>", "of this attempt", parseCount)
    .option("--media", "what it has shown: images, plots, tables, histograms, text")
    .action(act(async () => (await import("./task/metrics.js")).metrics));
  task
    .command("media")
    .description("what a task has shown, or one of it as a file")
    .argument("<task>", TASK)
    .argument("[name]", "the latest of this name")
    .option("--step <n>", "of this step", Number)
    .option("--attempt <n>", "of this attempt (default: the latest)", parseCount)
    .option("--to <path>", "file or folder, or - for stdout", ".")
    .action(act(async () => (await import("./task/media.js")).media));
  task
    .command("summary")
    .description("the page that a task wrote for people, Markdown")
    .argument("<task>", TASK)
    .action(act(async () => (await import("./task/media.js")).summary));
  task
    .command("replay")
    .description("rebuild a task here, code and parameters and environment, and print its command; secrets are left out")
    .argument("<task>", TASK)
    .option("--into <dir>", "a new folder (default: ./replay-ID)")
    .option("--run", "run the command too; exits with its code")
    .option("--attempt <n>", "as this attempt had it (default: the latest)", parseCount)
    .action(act(async () => (await import("./task/replay.js")).replay));
  waits(task.command("wait"));
  readsLogs(task.command("logs"));
}

/** `navvy ps` */
export function psCommand(program: Command): void {
  const ps = program.command("ps").description("tasks that wait or run").option("-a, --all", "also drafts and ended ones");
  lists(ps);
  ps.action(act(async () => (await import("./task/list.js")).ps));
}

/** `navvy logs` */
export function logsCommand(program: Command): void {
  readsLogs(program.command("logs"));
}

/** `navvy wait` */
export function waitCommand(program: Command): void {
  waits(program.command("wait"));
}

function makers(task: Command): void {
  const create = task.command("create").description("make a draft").usage("[options] -- COMMAND [args]");
  addTaskOptions(create);
  create.action(act(async () => (await import("./task/make.js")).create));
  const clone = task
    .command("clone")
    .description("make a draft like another task")
    .usage("[options] TASK [-- COMMAND [args]]")
    .argument("<task>", TASK);
  addTaskOptions(clone);
  clone
    .option("--enqueue", "and enqueue it where its template was")
    .option("-q, --queue <queue>", "and enqueue it here")
    .action(act(async () => (await import("./task/make.js")).clone));
  const edit = task.command("edit").description("change a draft").usage("[options] TASK [-- COMMAND [args]]").argument("<task>", TASK);
  addTaskOptions(edit);
  edit.action(act(async () => (await import("./task/make.js")).edit));
  task
    .command("set")
    .description("set parameters of a draft: navvy task set TASK General/lr=0.1")
    .argument("<task>", TASK)
    .argument("<parameter...>", "Section/name=value")
    .action(act(async () => (await import("./task/make.js")).set));
}

function movers(task: Command): void {
  const load = async () => import("./task/move.js");
  task
    .command("enqueue")
    .description("send drafts to a queue")
    .argument("<task...>", TASK)
    .addOption(
      new Option(
        "-q, --queue <queue>",
        "where (default: where it was last; else services for controllers; else NAVVY_DEFAULT_QUEUE, default)",
      ),
    )
    .addOption(new Option("--class <class>", "its place there").choices([...CLASS_NAMES]).default("normal"))
    .option("--delay <duration>", "not before", parseDuration)
    .option("--create-queue", "make the queue even if its name looks like a slip of another's")
    .action(act(async () => (await load()).enqueue));
  task
    .command("abort")
    .description("end tasks: SIGTERM, the grace, SIGKILL")
    .argument("<task...>", TASK)
    .option("--reason <text>", "kept with the task", "by hand")
    .option("--grace <duration>", "in place of the task's own", parseDuration)
    .option("--now", "no grace")
    .option("--wait", "until they have ended")
    .action(act(async () => (await load()).abort));
  task
    .command("rm")
    .description("delete tasks for good")
    .argument("<task...>", TASK)
    .option("--force", "also published ones")
    .action(act(async () => (await load()).remove));
  task
    .command("tag")
    .description("add and remove tags, whatever state tasks are in")
    .argument("<task...>", TASK)
    .option("--add <tag>", "repeatable", collect)
    .option("--remove <tag>", "repeatable", collect)
    .action(act(async () => (await load()).tag));
  const simple = {
    dequeue: "take waiting tasks back to draft",
    reset: "take ended tasks back to draft",
    publish: "make completed tasks read-only",
    archive: "take tasks out of lists",
    unarchive: "and back into them",
  };
  for (const [verb, about] of Object.entries(simple)) {
    task
      .command(verb)
      .description(about)
      .argument("<task...>", TASK)
      .action(act(async () => (await load()).moveBy(verb as keyof typeof simple)));
  }
}

/** Sends tasks on that wait for something that is not coming. */
function rousers(task: Command): void {
  const load = async () => import("./task/move.js");
  task
    .command("lose")
    .description("give up running tasks whose agent is gone: each is queued again, or fails at its cap")
    .argument("<task...>", TASK)
    .option("--reason <text>", "kept with the task")
    .action(act(async () => (await load()).lose));
  task
    .command("unpark")
    .description("start parked tasks again now, whatever they wait for")
    .argument("<task...>", TASK)
    .action(act(async () => (await load()).unpark));
}

function lists(command: Command): void {
  command
    .option("--status <status>", "draft, queued, running, completed, failed, aborted or published; repeatable", collect)
    .option("-q, --queue <queue>", "on this queue")
    .option("--project <name>", "of this project")
    .option("--name <name>", "of this name")
    .option("--agent <name>", "run by this agent")
    .option("--type <type>", "of this type")
    .option("--tag <tag>", "with this tag; repeatable", collect)
    .option("--parent <task>", "children of this task")
    .option("--archived", "archived ones")
    .option("--where <condition>", "whose reports meet it: 'val/acc.max > 0.9 and epoch >= 10'")
    .option("--limit <n>", "at most so many", parseCount);
}

function waits(command: Command): void {
  command
    .description("wait until tasks have ended; exits with the task's own code")
    .argument("<task...>", TASK)
    .option("--any", "until one of them has")
    .option("--timeout <duration>", "wait no longer than this (exit 6)", parseDuration)
    .option("--exit-zero", "exit 0 however they end")
    .action(act(async () => (await import("./task/wait.js")).wait));
}

function readsLogs(command: Command): void {
  command
    .description("what tasks printed; with -o jsonl or json one JSON document for each line")
    .argument("<task...>", TASK)
    .option("-f, --follow", "history first, then live, until they have ended")
    .option("--attempt <n>", "of this attempt (default: the latest)", parseCount)
    .addOption(new Option("--stream <stream>", "only this one").choices(["out", "err", "navvy"]))
    .option("--section <name>", "only this part: setup, code, image …, or run for what the program printed")
    .option("--since <time>", "only what was printed from then on: 10m, or 2026-05-01T12:00:00Z", parseTime)
    .option("--until <time>", "and up to then", parseTime)
    .option("--grep <regex>", "only lines that match", parsePattern)
    .option("--tail <n>", "of what is there only the last lines", parseCount)
    .option("--raw", "the bytes as they came (default: progress bars as they were in the end)")
    .option("--timestamps", "when each line was read")
    .option("--prefix", "the task's name before each line; of several tasks always")
    .option("--children", "with the tasks that it made, such as a pipeline's steps")
    .option("--exit-code", "exit with the task's own code")
    .action(act(async () => (await import("./task/logs.js")).logs));
}
