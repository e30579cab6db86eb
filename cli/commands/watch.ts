import type { Command } from "commander";
import { act } from "../call.js";

/** `navvy watch`: everything live and decoded, until Ctrl-C. */
export function watchCommand(program: Command): void {
  const watch = program.command("watch").description("see everything live and decoded; -o jsonl for programs");
  watch
    .command("fleet")
    .description("every agent's beats")
    .action(act(async () => (await import("./watch/fleet.js")).watchFleet));
  watch
    .command("agent")
    .description("one agent's beats and what it runs")
    .argument("<name>")
    .action(act(async () => (await import("./watch/fleet.js")).watchAgent));
  watch
    .command("tasks")
    .description("every change of every task")
    .action(act(async () => (await import("./watch/tasks.js")).watchTasks));
  watch
    .command("task")
    .description("one task: its changes and its metrics, until it has ended")
    .argument("<task>", "id, suffix of it, name, project/name, or @last")
    .action(act(async () => (await import("./watch/tasks.js")).watchTask));
  watch
    .command("queues")
    .description("every change of every queue")
    .action(act(async () => (await import("./watch/queues.js")).watchQueues));
  watch
    .command("events")
    .description("the fleet's audit trail")
    .option("--history", "first all that is kept")
    .action(act(async () => (await import("./watch/events.js")).watchEvents));
}
