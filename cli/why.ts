import type { AgentView } from "../broker/index.js";
import { describeOutcome, type QueueRecord, type TaskRecord } from "../protocol/index.js";
import { awaitedWords } from "./output/awaited.js";
import { needsAsAsked, needsWords } from "./output/needs.js";
import { outcomeWords } from "./output/outcome.js";
import { age, duration } from "./output/quantities.js";
import { count, once, shortId } from "./output/words.js";
import { fixesOf, obstacleAt } from "./why-fit.js";

/** All that `why` looks at; `waiting` is the queue in the order in which it will run. */
export interface Situation {
  task: TaskRecord;
  queue?: QueueRecord;
  waiting: TaskRecord[];
  agents: AgentView[];
  nowMs: number;
}

/** Why a task stands where it stands: one sentence, what was seen, and what can be done. */
export interface Explanation {
  sentence: string;
  facts: string[];
  fixes: string[];
}

/** Pure: the same situation gives the same words, in `navvy why`, `navvy run` and for programs. */
export function explain(situation: Situation): Explanation {
  const { task } = situation;
  switch (task.status) {
    case "draft":
      return explainDraft(task);
    case "queued":
      return explainQueued(situation);
    case "running":
      return explainRunning(situation);
    case "completed":
    case "failed":
    case "aborted":
    case "published":
      return explainEnd(task);
  }
}

/** The explanation as lines for people. */
export function explanationLines({ sentence, facts, fixes }: Explanation): string[] {
  return [sentence, ...facts.map((fact) => `  ${fact}`), ...fixes.map((fix, i) => (i === 0 ? `  fix: ${fix}` : `       ${fix}`))];
}

function explainDraft(task: TaskRecord): Explanation {
  const hasCommand = task.spec.command.length > 0;
  const fix = hasCommand ? `navvy task enqueue ${shortId(task.id)}` : `navvy task edit ${shortId(task.id)} -- COMMAND …`;
  return {
    sentence: `${title(task)} is a draft: it waits for nobody until it is enqueued.`,
    facts: [`last change: ${task.reason}, by ${task.by}`, ...(hasCommand ? [] : ["it has no command yet"])],
    fixes: [fix],
  };
}

function explainQueued(situation: Situation): Explanation {
  const { task, queue, waiting, nowMs } = situation;
  if (task.parked) return explainParked(task, nowMs);
  const position = waiting.findIndex((each) => each.id === task.id) + 1;
  const place = position > 0 ? `, position ${position} of ${waiting.length}` : "";
  const since = task.enqueuedAt === undefined ? "" : ` for ${age(task.enqueuedAt, nowMs)}`;
  const sentence = `${title(task)} has been queued${since} on ${task.queue}${place}.`;
  const delayMs = task.notBefore === undefined ? 0 : Date.parse(task.notBefore) - nowMs;
  if (delayMs > 0) return { sentence, facts: [`It is not to start before ${task.notBefore}, in ${duration(delayMs)}.`], fixes: [] };
  if (queue?.paused) {
    const { by, at, reason } = queue.paused;
    return {
      sentence,
      facts: [`The queue is paused by ${by} since ${age(at, nowMs)}: ${reason}`],
      fixes: [`navvy queue resume ${queue.name}`],
    };
  }
  return { sentence, ...whoCouldRun(situation) };
}

function explainParked(task: TaskRecord, nowMs: number): Explanation {
  const { on = [], at = "" } = task.parked ?? {};
  return {
    sentence: `${title(task)} has been parked for ${age(at, nowMs)}: it holds no slot until it is woken.`,
    facts: [`It waits for ${task.parked ? awaitedWords(task.parked) : "nothing"}.`],
    fixes: [...on.slice(0, 1).map((id) => `navvy why ${shortId(id)}`), `navvy task unpark ${shortId(task.id)}   starts it again now`],
  };
}

/** Agent by agent: who serves the queue, and what keeps each from taking the task. */
function whoCouldRun({ task, agents }: Situation): Pick<Explanation, "facts" | "fixes"> {
  const queue = task.queue ?? "";
  const serving = agents.filter(({ record }) => record.queues.includes(queue));
  const up = serving.filter((view) => view.isUp);
  const needs = needsAsAsked(task.spec);
  const words = needsWords(needs);
  const asked = words === undefined ? [] : [`It asks for ${words}.`];
  if (up.length === 0) return nobodyServes(queue, { serving, needs: asked, hasGpus: needs.gpus > 0 });
  const obstacles = up.map((view) => ({ view, obstacle: obstacleAt(view, { needs, queue }) }));
  const facts = [...asked, ...obstacles.map(({ view, obstacle }) => `${view.record.name} serves ${queue}: ${obstacle.text}`)];
  const draining = obstacles
    .filter(({ obstacle }) => obstacle.kind === "draining")
    .map(({ view }) => `navvy agent resume ${view.record.name}`);
  if (obstacles.every(({ obstacle }) => obstacle.kind === "too_small")) {
    return {
      facts: [...facts, "Nobody that is up can ever run it."],
      fixes: fixesOf(
        obstacles.flatMap(({ obstacle }) => obstacle.misfits),
        { task: shortId(task.id), queue },
      ),
    };
  }
  return { facts, fixes: draining };
}

function nobodyServes(
  queue: string,
  seen: { serving: AgentView[]; needs: string[]; hasGpus: boolean },
): Pick<Explanation, "facts" | "fixes"> {
  const away = seen.serving.map(({ record }) => `${record.name} served it, but is gone${record.leftAt ? " (it left)" : ""}`);
  const start = queue === "services" ? "navvy agent start --services 4" : `navvy agent start -q ${queue}`;
  return {
    facts: [...seen.needs, `No agent that is up serves ${queue}.`, ...away],
    fixes: [`${start}${seen.hasGpus ? "   on a machine with GPUs" : ""}`],
  };
}

function explainRunning({ task, agents, nowMs }: Situation): Explanation {
  const attempt = task.attempts.find((each) => each.attempt === task.attempt);
  const where = task.owner?.agent ?? "?";
  const facts = [`attempt ${task.attempt}, ${task.phase ?? "running"}${attempt ? `, since ${age(attempt.claimedAt, nowMs)}` : ""}`];
  const { progress } = task.reported;
  if (progress) facts.push(`progress ${progress.n}${progress.of ? ` of ${progress.of}` : ""}${progress.unit ? ` ${progress.unit}` : ""}`);
  if (task.abort)
    facts.push(
      `${task.abort.by} asked to abort it ${age(task.abort.at, nowMs)} ago: ${task.abort.reason}${task.abort.deliveredAt ? "; its agent knows" : "; its agent has not said that it knows"}`,
    );
  const owner = agents.find((view) => view.record.name === where);
  if (owner && !owner.isUp && task.onDisconnect === "continue")
    facts.push(
      `${where} is gone, and the task may run on there (onDisconnect: continue) until it is back: navvy task lose ${shortId(task.id)} gives it up`,
    );
  else if (owner && !owner.isUp) facts.push(`${where} is gone: the task goes back to its queue within seconds`);
  else if (owner && !owner.beat) facts.push(`${where} does not answer just now; its lease still holds`);
  return { sentence: `${title(task)} runs on ${where}.`, facts, fixes: task.abort ? [] : [`navvy logs ${shortId(task.id)} -f`] };
}

function explainEnd(task: TaskRecord): Explanation {
  const { outcome } = task;
  const how = outcome ? outcomeWords(task.status, outcome) : once(task.status, task.reason);
  const lost = task.losses > 0 ? [`lost with its machine ${count(task.losses, "time")}`] : [];
  const attempts = task.attempts
    .slice(0, -1)
    .map((each) => `attempt ${each.attempt} on ${each.agent}: ${each.outcome ? describeOutcome(each.outcome) : "superseded"}`);
  const on = task.attempts.at(-1)?.agent;
  const facts = [`${task.reason}, by ${task.by}`, ...lost, ...attempts, ...tailLines(outcome)];
  const isGood = task.status === "completed" || task.status === "published";
  const fixes = isGood
    ? []
    : [
        ...shellHint(task),
        `navvy logs ${shortId(task.id)}`,
        `navvy task reset ${shortId(task.id)} && navvy task enqueue ${shortId(task.id)} -q ${task.queue ?? "default"}`,
      ];
  return {
    sentence: `${title(task)} is ${task.status}${task.attempt > 0 ? ` after attempt ${task.attempt}` : ""}${on ? ` on ${on}` : ""}: ${how}.`,
    facts,
    fixes,
  };
}

/** A whole shell line that was given as one word is no program's name. */
export function shellHint({ outcome, spec: { command } }: TaskRecord): string[] {
  const [line = ""] = command;
  const isShell = outcome?.kind === "setup_failed" && command.length === 1 && /[\s|&;<>$`*]/.test(line);
  return isShell ? [`navvy run --shell '${line.replaceAll("'", "'\\''")}'   a pipe or words in one argument need a shell`] : [];
}

/** Of a set-up that failed all that is kept: why and what to do come before what it printed. */
function tailLines(outcome: TaskRecord["outcome"]): string[] {
  const lines = (outcome?.tail ?? "")
    .trimEnd()
    .split("\n")
    .filter((line) => line !== "")
    .slice(outcome?.kind === "setup_failed" ? 0 : -10);
  return lines.length ? ["last lines:", ...lines.map((line) => `  ${line}`)] : [];
}

function title(task: TaskRecord): string {
  return `${shortId(task.id)} ${task.name}`;
}
