import type { Navvy } from "../../broker/index.js";
import type { Beat, TaskRecord } from "../../protocol/index.js";
import { inOrder, rowOf, table } from "./rows.js";

const REDRAW_MS = 100;

/** Shows what happens while it happens: a table that redraws on a terminal, a line per change elsewhere. */
export class Live {
  readonly #out: NodeJS.WriteStream;
  readonly #tasks = new Map<string, TaskRecord>();
  readonly #beats = new Map<string, Beat>();
  readonly #stop = new AbortController();
  #drawn = 0;
  #timer: NodeJS.Timeout | undefined;
  #close = () => {};

  private constructor(out: NodeJS.WriteStream) {
    this.#out = out;
  }

  /** Follows one controller and its children: their records by watch, the agents by their beats. */
  static async open(navvy: Navvy, controllerId: string, out: NodeJS.WriteStream = process.stdout): Promise<Live> {
    const live = new Live(out);
    const isOurs = (task: TaskRecord) => task.id === controllerId || task.parent === controllerId;
    const watch = await navvy.tasks.watch(">", { onTask: (task) => isOurs(task) && live.#show(task) });
    const beats = live.#follow(navvy);
    if (out.isTTY) live.#timer = setInterval(() => live.#redraw(), REDRAW_MS);
    live.#close = () => {
      clearInterval(live.#timer);
      live.#stop.abort();
      watch.close();
      void beats;
    };
    return live;
  }

  /** Takes the live table away; what comes next prints below. */
  close(): void {
    this.#close();
    this.#erase();
  }

  async #follow(navvy: Navvy): Promise<void> {
    for await (const beat of navvy.fleet.beats({ signal: this.#stop.signal })) this.#beats.set(beat.agent, beat);
  }

  #show(task: TaskRecord): void {
    const before = this.#tasks.get(task.id);
    this.#tasks.set(task.id, task);
    if (this.#out.isTTY || before?.status === task.status || task.status === "draft") return;
    this.#out.write(`${lineOf(task)}\n`);
  }

  #redraw(): void {
    const agents = [...this.#beats.values()].sort((a, b) => a.agent.localeCompare(b.agent)).map(agentLine);
    const lines = [...agents, "", ...table(inOrder(this.#tasks.values()).map(rowOf))];
    this.#erase();
    this.#out.write(`${lines.join("\n")}\n`);
    this.#drawn = lines.length;
  }

  #erase(): void {
    if (this.#drawn > 0) this.#out.write(`\x1b[${this.#drawn}A\x1b[J`);
    this.#drawn = 0;
  }
}

function agentLine(beat: Beat): string {
  const cpu = `${Math.round(beat.cpu.used)} %`;
  return `${beat.agent}  ${beat.state}  slots ${beat.slots.used}/${beat.slots.total}  services ${beat.services.used}/${beat.services.total}  cpu ${cpu}`;
}

function lineOf(task: TaskRecord): string {
  const where = task.status === "queued" ? `on ${task.queue}` : `on ${task.attempts.at(-1)?.agent ?? "?"}`;
  const accuracy = task.reported.metrics["validation/accuracy"]?.last;
  const result =
    task.status === "completed" && accuracy !== undefined && task.taskType === "training" ? `  accuracy ${accuracy.toFixed(3)}` : "";
  return `${task.changedAt.slice(11, 19)}  ${task.name.padEnd(24)} ${task.status.padEnd(9)} ${where}${result}`;
}
