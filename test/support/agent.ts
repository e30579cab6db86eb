import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { connect, type Navvy, type NewTask, type TaskFilter } from "../../broker/index.js";
import type { TaskRecord, TaskSpec } from "../../protocol/index.js";
import { eventually } from "./eventually.js";
import { tempFolder } from "./folder.js";

const MAIN = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface AgentProcessOptions {
  name?: string;
  queues?: string[];
  slots?: number;
  services?: number;
  order?: "strict" | "fair";
  /** Default 3 s: short, so that tests need not wait long for it to end. */
  lease?: string;
  workDir?: string;
  /** How long what it runs outlives it. Default 2 s: what a killed agent leaves is not to outlive its test. */
  adoptWithin?: string;
  args?: string[];
  env?: Record<string, string>;
}

/** An agent as people start it, in a process of its own. */
export interface AgentProcess extends AsyncDisposable {
  readonly name: string;
  readonly pid: number;
  readonly workDir: string;
  /** What it has logged so far, line by line. */
  readonly log: string[];
  readonly process: ChildProcess;
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM twice: give the tasks back and leave at once. */
  leaveNow(): Promise<number | null>;
  /** Its exit code. */
  readonly exited: Promise<number | null>;
}

let count = 0;

/** Starts an agent and resolves when it serves. Disposing tells it to leave at once. */
export async function spawnAgent(server: { url: string }, options: AgentProcessOptions = {}): Promise<AgentProcess> {
  const folder = await tempFolder();
  const name = options.name ?? `agent-${++count}`;
  const workDir = options.workDir ?? folder.path;
  const flags = [
    ...["--name", name, "--work-dir", workDir, "--lease", options.lease ?? "3s", "--log-format", "json"],
    ...["--adopt-within", options.adoptWithin ?? "2s"],
    ...["--slots", String(options.slots ?? 2), "--order", options.order ?? "strict"],
    ...(options.services === 0 ? ["--no-services"] : ["--services", String(options.services ?? 2)]),
    ...(options.queues ?? ["default"]).flatMap((queue) => ["-q", queue]),
    ...(options.args ?? []),
  ];
  const child = spawn(process.execPath, [MAIN, "agent", "start", ...flags], {
    env: { ...process.env, NAVVY_SERVER: server.url, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const log: string[] = [];
  const gather = (chunk: Buffer) => log.push(...chunk.toString().split("\n").filter(Boolean));
  child.stdout.on("data", gather);
  child.stderr.on("data", gather);
  const exited = once(child, "exit").then(([code]) => code as number | null);
  const agent: AgentProcess = {
    name,
    pid: child.pid ?? -1,
    workDir,
    log,
    process: child,
    exited,
    kill: (signal) => void child.kill(signal),
    leaveNow: async () => {
      child.kill("SIGTERM");
      const again = setTimeout(() => child.kill("SIGTERM"), 150); // two within 100 ms count as one
      return exited.finally(() => clearTimeout(again));
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGCONT");
      const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await agent.leaveNow();
      clearTimeout(late);
      await folder[Symbol.asyncDispose]();
    },
  };
  const refused = exited.then((code) => {
    throw new Error(`the agent ended with ${code}:\n${log.join("\n")}`);
  });
  refused.catch(() => {}); // an end after it came up is the test's business
  await Promise.race([
    refused,
    eventually(`agent ${name} is up`, () => log.some((line) => line.includes("agent is up")), { timeoutMs: 30_000 }),
  ]);
  return agent;
}

/** A client with the few verbs that every test needs. */
export interface Client extends AsyncDisposable {
  navvy: Navvy;
  /** Creates and enqueues; resolves with the id. */
  submit(
    command: string[],
    options?: Partial<NewTask> & { queue?: string; class?: TaskRecord["class"]; spec?: Partial<TaskSpec> },
  ): Promise<string>;
  record(id: string): Promise<TaskRecord>;
  /** Waits for its end. */
  ended(id: string, timeoutMs?: number): Promise<TaskRecord>;
  /** Waits until its process runs. */
  executing(id: string): Promise<TaskRecord>;
  list(filter?: TaskFilter): Promise<TaskRecord[]>;
  /** The whole log of one stream as text. */
  logOf(id: string, stream?: "out" | "err" | "navvy", attempt?: number): Promise<string>;
}

export async function client(server: { url: string }): Promise<Client> {
  const navvy = await connect({ servers: server.url, actor: "tester" });
  const record = (id: string) => navvy.tasks.get(id);
  return {
    navvy,
    record,
    list: (filter) => navvy.tasks.list(filter),
    async submit(command, options = {}) {
      const { queue, class: name, spec, ...rest } = options;
      const task = await navvy.tasks.create({ name: command[0] ?? "task", ...rest, spec: { ...spec, command } });
      await navvy.tasks.enqueue(task.id, { queue: queue ?? "default", ...(name ? { class: name } : {}) });
      return task.id;
    },
    ended: (id, timeoutMs = 30_000) => navvy.tasks.wait(id, { timeoutMs }),
    executing: (id) => navvy.tasks.wait(id, { until: (task) => task.phase === "executing", timeoutMs: 20_000 }),
    async logOf(id, stream = "out", attempt) {
      const parts: Uint8Array[] = [];
      for await (const piece of navvy.logs.read(await record(id), attempt === undefined ? {} : { attempt }))
        if (piece.stream === stream) parts.push(piece.data);
      return Buffer.concat(parts).toString();
    },
    [Symbol.asyncDispose]: () => navvy.close(),
  };
}

/** Whether a process exists and is not a zombie. */
export function lives(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3) !== "Z";
  } catch {
    return false;
  }
}
