import type { Triggered } from "../../../broker/index.js";
import type { TriggerOn } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { EXIT } from "../../exit-codes.js";
import type { View } from "../../output/output.js";
import { age } from "../../output/quantities.js";
import { shortId, stateWord } from "../../output/words.js";
import { findTask } from "../../references.js";
import { withoutTemplate } from "../launch/launch.js";

/** A trigger with what became of its template. */
interface TriggerRow extends Triggered {
  isTemplateGone?: boolean;
}

/** How triggers are listed. */
export const TRIGGER_VIEW: View<TriggerRow> = {
  kind: "trigger",
  name: ({ trigger }) => trigger.name,
  empty: "no triggers; navvy trigger create NAME TASK --on-status completed",
  columns: [
    { title: "TRIGGER", value: ({ trigger }) => trigger.name, isFlexible: true },
    { title: "STATE", value: ({ trigger }) => stateWord(trigger.paused ? "paused" : "active") },
    { title: "ON", value: ({ trigger }) => onWords(trigger.on), isFlexible: true },
    { title: "OF", value: ({ trigger }) => filterWords(trigger.filter), isFlexible: true },
    { title: "TEMPLATE", value: (row) => `${row.isTemplateGone ? "! gone: " : ""}${row.trigger.launch.templateName}`, isFlexible: true },
    { title: "QUEUE", value: ({ trigger }) => trigger.launch.queue, isFlexible: true },
    { title: "FIRED", value: ({ state }) => String(state.fired), align: "right" },
    { title: "LAST", value: lastWords, isFlexible: true },
    { title: "BY", value: ({ trigger }) => trigger.createdBy, isWide: true },
  ],
};

/** `navvy trigger ls` */
export const list: Handler = async (call) => {
  const all = await (await call.navvy()).triggers.list((key) => call.out.talk(`! trigger ${key} can not be read: it is left out`));
  const gone = await withoutTemplate(
    call,
    all.map(({ trigger: { name, launch } }) => ({ name, template: launch.template })),
  );
  call.out.list(
    TRIGGER_VIEW,
    all.map((each) => ({ ...each, isTemplateGone: gone.has(each.trigger.name) })),
  );
};

/** `navvy trigger show TRIGGER` */
export const show: Handler<[string]> = async (call, name) => {
  const found = await (await call.navvy()).triggers.get(name);
  const gone = await withoutTemplate(call, [{ name, template: found.trigger.launch.template }]);
  const row = { ...found, isTemplateGone: gone.has(name) };
  call.out.show(TRIGGER_VIEW, row, () => describe(row));
};

/** `navvy trigger test TRIGGER TASK` */
export const test: Handler<[string, string]> = async (call, name, reference) => {
  const { triggers } = await call.navvy();
  const task = await findTask(call, reference);
  const verdict = await triggers.test(name, task);
  call.out.show(
    { kind: "trigger-test", name: () => String(verdict.wouldFire) },
    { trigger: name, task: task.id, ...verdict },
    () => `${name} ${verdict.wouldFire ? "fires" : "does not fire"} on ${task.name} (${shortId(task.id)}): ${verdict.reason}`,
  );
  return verdict.wouldFire ? EXIT.ok : EXIT.failed;
};

function describe(row: TriggerRow): string {
  const { trigger, state } = row;
  const { launch, paused, inputs } = trigger;
  const params = Object.entries(launch.parameters ?? {}).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const pairs: [string, string | undefined][] = [
    ["on", onWords(trigger.on)],
    ["of", filterWords(trigger.filter)],
    ["own", trigger.onOwn ? "it fires on what comes of its own firings too" : undefined],
    ["template", `${launch.templateName} (${launch.template})${row.isTemplateGone ? "  ! it is gone: every firing fails" : ""}`],
    ["queue", `${launch.queue}${launch.class ? ` (${launch.class})` : ""}`],
    ["name", launch.name],
    ["project", launch.project],
    ["tags", launch.tags?.join(", ")],
    ["params", params.join(" ") || undefined],
    [
      "inputs",
      inputs &&
        Object.entries(inputs)
          .map(([key, artifact]) => `${key}=${artifact}`)
          .join(" "),
    ],
    ["created", `${age(trigger.createdAt)} ago by ${trigger.createdBy}`],
    ["since", trigger.since === trigger.createdAt ? undefined : trigger.since],
    ["paused", paused && `${age(paused.at)} ago by ${paused.by}: ${paused.reason}`],
    ["fired", String(state.fired)],
    ["last", state.last && `${age(state.last.at)} ago on task ${state.last.of}: ${state.last.task}`],
    ["trouble", state.trouble && `${age(state.trouble.at)} ago: ${state.trouble.message}`],
  ];
  const facts = pairs.flatMap(([label, value]) => (value ? [`${label.padEnd(9)} ${value}`] : []));
  return [`${trigger.name}  ${stateWord(paused ? "paused" : "active")}`, ...facts].join("\n");
}

/** `status completed or failed`, `val/acc.max > 0.9`, `model best*`, `tag prod`. */
export function onWords(on: TriggerOn): string {
  switch (on.kind) {
    case "status":
      return `status ${on.statuses.join(" or ")}`;
    case "metric":
      return on.where;
    case "artifact":
    case "model":
      return `${on.kind} ${on.name}`;
    case "tag":
      return `tag ${on.tag}`;
  }
}

function filterWords({ project, name, tags = [], taskType, queue }: Triggered["trigger"]["filter"]): string {
  const words = [
    project && `project ${project}`,
    name && `name ${name}`,
    tags.length > 0 && `tag ${tags.join(" and ")}`,
    taskType && `type ${taskType}`,
    queue && `queue ${queue}`,
  ];
  return words.filter(Boolean).join(", ") || "all tasks";
}

function lastWords({ state: { last, trouble } }: TriggerRow): string {
  if (trouble) return `! ${trouble.message}`;
  return last ? `${shortId(last.task)}, ${age(last.at)} ago` : "—";
}
