import { type Command, CommanderError } from "commander";
import type { Handler } from "../../call.js";
import { childOf } from "../../command-path.js";
import { EXIT, EXIT_MEANINGS } from "../../exit-codes.js";
import { stateWord } from "../../output/words.js";

const TOPICS: Record<string, () => string> = { environment, "exit-codes": exitCodes, states };

/** `navvy help [COMMAND…|TOPIC]` */
export function help(program: Command): Handler<[string[]]> {
  return async (call, words) => {
    const topic = TOPICS[words[0] ?? ""];
    if (topic && words.length === 1) return call.out.line(topic());
    commandAt(program, words).outputHelp();
    if (words.length === 0) call.out.line(`\nTopics:  navvy help ${Object.keys(TOPICS).join("|")}`);
  };
}

function commandAt(program: Command, words: string[]): Command {
  let command = program;
  for (const word of words) {
    const next = childOf(command, word);
    if (!next)
      throw new CommanderError(
        1,
        "commander.unknownCommand",
        `there is no command or topic '${words.join(" ")}'\n(topics: ${Object.keys(TOPICS).join(", ")})`,
      );
    command = next;
  }
  return command;
}

function exitCodes(): string {
  const lines = Object.entries(EXIT).map(([name, code]) => `${String(code).padStart(4)}  ${EXIT_MEANINGS[name as keyof typeof EXIT]}`);
  return ["run, wait and logs --exit-code pass on the task's own exit code;", "--exit-zero turns that off.", "", ...lines].join("\n");
}

function states(): string {
  return [
    `${stateWord("draft")}      can be edited; waits for nobody`,
    `${stateWord("queued")}     waits on a queue; navvy why TASK says for what`,
    `${stateWord("parked")}     queued, and waits for other tasks: their end starts it again`,
    `${stateWord("running")}    on an agent: claimed, preparing, executing, aborting, collecting`,
    `${stateWord("completed")}  its command ended with 0`,
    `${stateWord("failed")}     it ended otherwise, with its retries used up`,
    `${stateWord("aborted")}    ended at someone's wish`,
    `${stateWord("published")}  read-only from now on; it can be cloned`,
    "",
    "draft ─enqueue─▶ queued ─claim─▶ running ─▶ completed ─▶ published",
    "      ◀─dequeue─        ◀─retry──        ─▶ failed, aborted ─reset─▶ draft",
  ].join("\n");
}

function environment(): string {
  const rows: [string, string][] = [
    ["NAVVY_SERVER", "NATS address (-s): nats://HOST:4222"],
    ["NAVVY_CONTEXT", "NATS CLI context (--context)"],
    ["NAVVY_NAMESPACE", "fleet on a shared server (--namespace)"],
    ["NAVVY_CREDS", "credentials file (--creds)"],
    ["NAVVY_USER, NAVVY_PASSWORD", "user and password (--user, --password)"],
    ["NAVVY_TOKEN, NAVVY_NKEY", "token, nkey seed file (--token, --nkey)"],
    ["NAVVY_TLS_CA, _CERT, _KEY", "files for TLS (--tls-ca, --tls-cert, --tls-key)"],
    ["NAVVY_DOMAIN", "JetStream domain behind a leaf node (--domain)"],
    ["NAVVY_INBOX_PREFIX", "prefix of reply subjects (--inbox-prefix)"],
    ["NAVVY_REPLICAS", "copies on a cluster: 1, 3 or 5 (--replicas)"],
    ["NAVVY_FORMAT", "table, wide, json, jsonl or name (-o)"],
    ["NAVVY_QUIET, NAVVY_VERBOSE", "--quiet, --verbose"],
    ["NAVVY_DEFAULT_QUEUE", "where run and task enqueue send new tasks (-q)"],
    ["NAVVY_PROJECT", "project of new tasks; set inside tasks"],
    ["NAVVY_AGENT_NAME, NAVVY_SLOTS", "for agent start (--name, --slots)"],
    ["NAVVY_AGENT_GPUS, _WORK_DIR", "for agent start (--gpus, --work-dir)"],
    ["NAVVY_ADOPT_WITHIN, _LEASE", "for agent start (--adopt-within, --lease)"],
    ["NAVVY_MAX_PIDS, _MAX_SPOOL", "for agent start (--max-pids, --max-spool)"],
    ["NAVVY_LOG_LIMIT", "for agent start (--log-limit)"],
    ["NAVVY_GIT_CACHE, _GIT_LIMIT", "for agent start (--git-cache, --git-limit)"],
    ["NAVVY_LOG_FORMAT, _LOG_LEVEL", "for agent start: pretty, json; debug, info, warn"],
    ["NAVVY_PORT, NAVVY_DATA", "for dev (--port, --data)"],
    ["NAVVY_NATS_SERVER", "the nats-server that dev starts"],
    ["NO_COLOR, FORCE_COLOR", "colours off, on"],
  ];
  const lines = rows.map(([name, about]) => `${name.padEnd(31)} ${about}`);
  return ["flag > environment > NATS context > default;  navvy context show --explain", "", ...lines].join("\n");
}
