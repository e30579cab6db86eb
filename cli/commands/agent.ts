import { type Command, Option } from "commander";
import { collect, collectPair, parseCount, parseDuration } from "../arguments.js";
import { act } from "../call.js";
import { keepHeapSmall } from "./agent/small-heap.js";
import { type ArtifactFlags, addArtifactFlags } from "./agent-flags/artifacts.js";
import { addCleanFlags, type CleanFlags } from "./agent-flags/clean.js";
import { type AgentContainerOptions, addAgentContainerFlags } from "./agent-flags/container.js";
import { type AgentGitOptions, addAgentGitFlags } from "./agent-flags/git.js";
import { type AgentGpuOptions, addAgentGpuFlags } from "./agent-flags/gpus.js";
import { type AgentLimitOptions, addAgentLimitFlags } from "./agent-flags/limits.js";
import { type AgentSecretOptions, addAgentSecretFlags } from "./agent-flags/secrets.js";

/** Flags of `navvy agent start`. */
export interface AgentStartOptions
  extends AgentContainerOptions,
    AgentGitOptions,
    AgentLimitOptions,
    AgentSecretOptions,
    CleanFlags,
    ArtifactFlags,
    AgentGpuOptions {
  name?: string;
  queue?: string[];
  slots?: number;
  lease?: number;
  adoptWithin?: number;
  forget?: boolean;
  /** False for `--no-facades`. */
  facades: boolean;
  /** False for `--no-services`. */
  services?: number | false;
  workDir?: string;
  order: "strict" | "fair";
  label?: Record<string, string>;
  logFormat?: "pretty" | "json";
}

/** Flags of `navvy agent drain` and `navvy agent stop`. */
export interface AgentControlOptions {
  reason?: string;
  wait?: boolean;
  now?: boolean;
}

/** `navvy agent` */
export function agentCommand(program: Command): void {
  const agent = program.command("agent").aliases(["agents", "a"]).description("the daemons that run tasks");
  startCommand(agent);
  agent
    .command("ls")
    .description("list agents")
    .action(act(async () => (await import("./agent/look.js")).list));
  agent
    .command("show")
    .description("one agent: its machine and what it runs")
    .argument("<name>")
    .action(act(async () => (await import("./agent/look.js")).show));
  agent
    .command("drain")
    .description("take no new work, finish what runs")
    .argument("<name>")
    .option("--reason <text>", "shown to whoever waits")
    .option("--wait", "until nothing runs there")
    .action(act(async () => (await import("./agent/control.js")).drain));
  agent
    .command("resume")
    .description("end a drain")
    .argument("<name>")
    .action(act(async () => (await import("./agent/control.js")).resume));
  agent
    .command("stop")
    .description("drain, then end the agent")
    .argument("<name>")
    .option("--now", "give running tasks back to their queues and leave at once")
    .option("--reason <text>", "shown to whoever looks")
    .action(act(async () => (await import("./agent/control.js")).stop));
  agent
    .command("upgrade")
    .description("restart an agent under its running tasks, with the navvy that is installed there now")
    .argument("<name>")
    .action(act(async () => (await import("./agent/control.js")).upgrade));
  agent
    .command("rm")
    .description("forget an agent that is gone")
    .argument("<name>")
    .action(act(async () => (await import("./agent/control.js")).remove));
}

function startCommand(agent: Command): void {
  const start = agent.command("start");
  start
    .description("run an agent here until a signal: the first drains and leaves, a second gives tasks back and leaves now")
    .addOption(new Option("--name <name>", "unique in the fleet (default: this host's name)").env("NAVVY_AGENT_NAME"))
    .addOption(
      new Option("-q, --queue <queue>", "serve this queue; repeat for more, the first comes first (default: default)").argParser(collect),
    )
    .addOption(new Option("--slots <n>", "tasks at once").argParser(parseCount).env("NAVVY_SLOTS"))
    .option("--services <n>", "light slots for controllers on the services queue (default: 4)", parseCount)
    .option("--no-services", "do not serve the services queue")
    .addOption(new Option("--work-dir <dir>", "where tasks run").env("NAVVY_WORK_DIR"))
    .addOption(
      new Option(
        "--lease <duration>",
        "how long it may be silent before its tasks go elsewhere; the same in the whole fleet (default: 15s)",
      )
        .argParser(parseDuration)
        .env("NAVVY_LEASE"),
    )
    .addOption(
      new Option(
        "--adopt-within <duration>",
        "how long what runs here outlives this process, frozen, for the next start to adopt it (default: 10m)",
      )
        .argParser(parseDuration)
        .env("NAVVY_ADOPT_WITHIN"),
    )
    .option("--forget", "begin without the host journal of an earlier run; it is moved aside")
    .option("--no-facades", "open no local port: MLflow and trainers in tasks are not pointed to this agent")
    .addOption(new Option("--order <order>", "between queues").choices(["strict", "fair"]).default("strict"))
    .addOption(new Option("--label <k=v>", "what is special here; repeatable").argParser(collectPair))
    .addOption(
      new Option("--log-format <format>", "default: pretty on a terminal, else json").choices(["pretty", "json"]).env("NAVVY_LOG_FORMAT"),
    );
  addAgentGpuFlags(start);
  addAgentLimitFlags(start);
  addAgentContainerFlags(start);
  addAgentGitFlags(start);
  addAgentSecretFlags(start);
  addCleanFlags(start);
  addArtifactFlags(start);
  start.action(
    act(async () => {
      keepHeapSmall();
      return (await import("./agent/start.js")).start;
    }),
  );
}
