import { Command, Option } from "commander";
import { childOf } from "./command-path.js";
import { agentCommand } from "./commands/agent.js";
import { artifactCommand } from "./commands/artifact.js";
import { autoscaleCommand } from "./commands/autoscale.js";
import { cleanupCommand } from "./commands/cleanup.js";
import { completionCommand } from "./commands/completion.js";
import { contextCommand } from "./commands/context.js";
import { devCommand } from "./commands/dev.js";
import { doctorCommand } from "./commands/doctor.js";
import { helpCommand } from "./commands/help.js";
import { modelCommand } from "./commands/model.js";
import { pipelineCommand } from "./commands/pipeline.js";
import { queueCommand } from "./commands/queue.js";
import { reportCommand } from "./commands/report.js";
import { runCommand } from "./commands/run.js";
import { scheduleCommand } from "./commands/schedule.js";
import { secretCommand } from "./commands/secret.js";
import { gcCommand, storageCommand } from "./commands/storage.js";
import { sweepCommand } from "./commands/sweep.js";
import { logsCommand, psCommand, taskCommand, waitCommand } from "./commands/task.js";
import { topCommand } from "./commands/top.js";
import { triggerCommand } from "./commands/trigger.js";
import { versionCommand } from "./commands/version.js";
import { watchCommand } from "./commands/watch.js";
import { whyCommand } from "./commands/why.js";
import { FORMATS } from "./output/output.js";
import { packageVersion } from "./version.js";

/** The whole command tree. Nothing of the broker is loaded before a command runs. */
export function makeProgram(): Command {
  const program = new Command("navvy");
  program
    .description("Peer queues and agents over NATS: run tasks on your machines.")
    .usage("[global flags] <command> [args]")
    .version(packageVersion(), "--version", "print the version")
    // Errors are printed in one place, by main.
    .configureOutput({ outputError: () => {} })
    .exitOverride()
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true })
    .showSuggestionAfterError(true);
  addGlobalOptions(program);
  program.commandsGroup("Day one:");
  for (const add of [devCommand, runCommand, psCommand, logsCommand, waitCommand, whyCommand, topCommand, doctorCommand]) add(program);
  program.commandsGroup("Everything else:");
  const nouns = [
    taskCommand,
    pipelineCommand,
    sweepCommand,
    scheduleCommand,
    triggerCommand,
    queueCommand,
    agentCommand,
    autoscaleCommand,
    cleanupCommand,
    secretCommand,
    artifactCommand,
    modelCommand,
  ];
  for (const add of [...nouns, reportCommand, storageCommand, gcCommand, watchCommand, contextCommand, helpCommand, versionCommand])
    add(program);
  completionCommand(program);
  program.addHelpText("beforeAll", ({ command }) => refuseUnknown(command));
  program.addHelpText("afterAll", `\nMore global flags, for credentials and TLS (navvy help environment):\n${HIDDEN_FLAGS}`);
  program.addHelpText(
    "after",
    "\nStart here:\n  navvy dev                                        a server, an agent and queues on this machine\n  navvy run -- python -c 'print(\"hello\")'           in another terminal: run a task, see its output",
  );
  return program;
}

/** `navvy frobnicate --help` asks for help on what is not there: commander itself would print the help of all. */
function refuseUnknown(command: Command): string {
  const [word] = command.args;
  // Nouns have a `help` that is in no list.
  if (word !== undefined && word !== "help" && !word.startsWith("-") && command.commands.length > 0 && !childOf(command, word))
    command.error(`error: unknown command '${word}'`, { code: "commander.unknownCommand" });
  return "";
}

/** Connection flags have variables too (`NAVVY_SERVER` …): the broker reads those itself, so that it can say where a value is from. */
function addGlobalOptions(program: Command): void {
  program
    .optionsGroup("Global flags:")
    .option("-s, --server <url>", "NATS server (NAVVY_SERVER)")
    .option("--context <name>", "NATS CLI context (NAVVY_CONTEXT)")
    .option("--creds <file>", "NATS credentials file (NAVVY_CREDS)")
    .option("--namespace <name>", "fleet on a shared server (NAVVY_NAMESPACE)")
    .addOption(
      new Option("-o, --output <format>", "how to print")
        .choices([...FORMATS])
        .default("table")
        .env("NAVVY_FORMAT"),
    )
    .option("--json", "same as -o json")
    .addOption(new Option("--quiet", "only data and errors").env("NAVVY_QUIET"))
    .addOption(new Option("--verbose", "with errors: the chain of causes").env("NAVVY_VERBOSE"));
  for (const [flags, about] of HIDDEN_SETTINGS) program.addOption(new Option(flags, about).hideHelp());
  program.optionsGroup("Options:");
}

/** Named at the end of each help, told in `navvy help environment`. */
const HIDDEN_SETTINGS = [
  ["--user <name>", "NATS user (NAVVY_USER)"],
  ["--password <text>", "NATS password (NAVVY_PASSWORD)"],
  ["--token <text>", "NATS token (NAVVY_TOKEN)"],
  ["--nkey <file>", "NATS nkey seed file (NAVVY_NKEY)"],
  ["--tls-cert <file>", "client certificate (NAVVY_TLS_CERT)"],
  ["--tls-key <file>", "key of the client certificate (NAVVY_TLS_KEY)"],
  ["--tls-ca <file>", "certificate authority (NAVVY_TLS_CA)"],
  ["--domain <name>", "JetStream domain, behind a leaf node (NAVVY_DOMAIN)"],
  ["--inbox-prefix <subject>", "prefix of reply subjects (NAVVY_INBOX_PREFIX)"],
  ["--replicas <n>", "copies of everything on a cluster: 1, 3 or 5 (NAVVY_REPLICAS)"],
] as const;

/** Their names, in lines of 80 columns. */
const HIDDEN_FLAGS = [HIDDEN_SETTINGS.slice(0, 5), HIDDEN_SETTINGS.slice(5)]
  .map((part) => `  ${part.map(([flags]) => flags.split(" ")[0]).join("  ")}`)
  .join("\n");
