import { closest, NavvyError, TRIGGER_STATUSES, type TriggerFilter, type TriggerOn } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { findTask } from "../../references.js";
import { launchOf, sayIfNobodyServes } from "../launch/launch.js";
import type { TriggerCreateOptions } from "../trigger.js";
import { onWords, TRIGGER_VIEW } from "./look.js";

/** `navvy trigger create TRIGGER TEMPLATE` */
export const create: Handler<[string, string], TriggerCreateOptions> = async (call, name, reference) => {
  const { options } = call;
  const on = onOf(options);
  const navvy = await call.navvy();
  const template = await findTask(call, reference);
  const launch = launchOf(template, options);
  const { input, onOwn, createQueue } = options;
  await navvy.triggers.create({
    name,
    on,
    filter: filterOf(options),
    template: template.id,
    launch,
    ...(input ? { inputs: input } : {}),
    ...(onOwn ? { onOwn } : {}),
    ...(createQueue ? { createQueue } : {}),
  });
  call.out.show(TRIGGER_VIEW, await navvy.triggers.get(name), () => `${name}  created: ${onWords(on)}`);
  await sayIfNobodyServes(call, launch.queue);
};

function onOf({ onStatus, onMetric, onArtifact, onModel, onTag }: TriggerCreateOptions): TriggerOn {
  const given: TriggerOn[] = [
    ...(onStatus ? [{ kind: "status" as const, statuses: onStatus.flatMap((each) => each.split(",")).map(statusOf) }] : []),
    ...(onMetric === undefined ? [] : [{ kind: "metric" as const, where: onMetric }]),
    ...(onArtifact === undefined ? [] : [{ kind: "artifact" as const, name: onArtifact }]),
    ...(onModel === undefined ? [] : [{ kind: "model" as const, name: onModel }]),
    ...(onTag === undefined ? [] : [{ kind: "tag" as const, tag: onTag }]),
  ];
  const [on, other] = given;
  if (on && !other) return on;
  throw new NavvyError(
    "invalid_argument",
    on ? "a trigger fires on one kind of thing, and several were given" : "it was not said on what",
    {
      fix: ["one of: --on-status completed", "--on-metric 'val/acc.max > 0.9'", "--on-artifact '*.csv'", "--on-model '*'", "--on-tag TAG"],
    },
  );
}

function statusOf(text: string): (typeof TRIGGER_STATUSES)[number] {
  const found = TRIGGER_STATUSES.find((status) => status === text);
  if (found) return found;
  const meant = closest(text, TRIGGER_STATUSES);
  throw new NavvyError("invalid_argument", `status ${JSON.stringify(text)} is not known${meant ? `; did you mean ${meant}?` : ""}`, {
    why: `a task comes to be ${TRIGGER_STATUSES.join(", ")}`,
  });
}

function filterOf({ fromProject, fromName, fromTag, fromType, fromQueue }: TriggerCreateOptions): TriggerFilter {
  return {
    ...(fromProject === undefined ? {} : { project: fromProject }),
    ...(fromName === undefined ? {} : { name: fromName }),
    ...(fromTag ? { tags: fromTag } : {}),
    ...(fromType === undefined ? {} : { taskType: fromType }),
    ...(fromQueue === undefined ? {} : { queue: fromQueue }),
  };
}
