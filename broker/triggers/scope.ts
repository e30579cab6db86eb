import {
  type FillScope,
  fill,
  fillText,
  type Launch,
  type ParameterValue,
  parseCondition,
  reportedValue,
  type TaskRecord,
  type Trigger,
} from "../../protocol/index.js";
import type { Occasion } from "./match.js";

const TASK = ["id", "name", "project", "status", "queue", "type"] as const;
const OF_ALL = ["name", "time", ...TASK.map((each) => `task.${each}`), "metric.", "output.", "param."] as const;
const ARTIFACT = ["name", "sha256", "size", "kind", "version"].map((each) => `artifact.${each}`);

/** What a trigger on that can hand on, for people; what ends with a dot is followed by a name. */
export function namesOf(on: Trigger["on"]): string[] {
  const own = { status: ["status"], metric: ["value"], artifact: ARTIFACT, model: ARTIFACT, tag: ["tag"] }[on.kind];
  return [...OF_ALL, ...own];
}

/** What one firing fills in. */
export function scopeOf({ name, on }: Pick<Trigger, "name" | "on">, record: TaskRecord, occasion: Occasion): FillScope {
  const { id, name: taskName, project, status, queue = "", taskType: type } = record;
  const task: Record<(typeof TASK)[number], string> = { id, name: taskName, project, status, queue, type };
  const fixed: Record<string, ParameterValue> = {
    name,
    time: occasion.at,
    ...Object.fromEntries(Object.entries(task).map(([key, value]) => [`task.${key}`, value])),
    ...(on.kind === "metric" ? { value: wire(reportedValue(firstName(on.where), record)) ?? null } : {}),
    ...occasion.values,
  };
  const prefixes: Record<string, (rest: string) => unknown> = {
    "metric.": (rest) => reportedValue(rest, record),
    "output.": (rest) => reportedValue(`outputs.${rest}`, record),
    "param.": (rest) => reportedValue(`params.${rest}`, record),
  };
  const lookUp = (asked: string) => {
    if (Object.hasOwn(fixed, asked)) return fixed[asked];
    const prefix = Object.keys(prefixes).find((each) => asked.startsWith(each));
    return prefix === undefined ? undefined : wire(prefixes[prefix]?.(asked.slice(prefix.length)));
  };
  return { root: "trigger", names: namesOf(on), lookUp };
}

/** The launch of one firing and its inputs' artifacts, all filled in. @throws NavvyError invalid_argument */
export function launchOf(
  trigger: Pick<Trigger, "launch" | "inputs">,
  scope: FillScope,
): { launch: Launch; inputs: Record<string, string> } {
  const { launch, inputs = {} } = trigger;
  return {
    launch: {
      ...launch,
      ...(launch.name === undefined ? {} : { name: fillText(launch.name, scope) }),
      ...(launch.parameters ? { parameters: fill(launch.parameters, scope) as Record<string, ParameterValue> } : {}),
    },
    inputs: Object.fromEntries(Object.entries(inputs).map(([name, artifact]) => [name, fillText(artifact, scope)])),
  };
}

/** Refuses what could never be filled in. @throws NavvyError invalid_argument, with the name that was probably meant */
export function checkLaunch(trigger: Pick<Trigger, "launch" | "inputs" | "on">): void {
  const names = namesOf(trigger.on);
  const isKnown = (asked: string) => names.some((name) => asked === name || (name.endsWith(".") && asked.startsWith(name)));
  launchOf(trigger, { root: "trigger", names, lookUp: (asked) => (isKnown(asked) ? "" : undefined) });
}

/** A record has no room for numbers that are not finite: they become the words that tasks report them with. */
function wire(value: unknown): ParameterValue | undefined {
  if (typeof value !== "number" || Number.isFinite(value)) return value as ParameterValue | undefined;
  return Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
}

/** The first name that a condition asks for: `value` is what it had. */
function firstName(where: string): string {
  return parseCondition(where).names[0] ?? "";
}
