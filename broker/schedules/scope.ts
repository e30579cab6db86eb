import { type FillScope, type Firing, fill, fillText, type Launch, type ParameterValue, type Schedule } from "../../protocol/index.js";

/** What a schedule's firing fills into name and parameters. */
function scopeOf({ name }: Pick<Schedule, "name">, { at, run }: Pick<Firing, "at" | "run">): FillScope {
  const values: Record<string, ParameterValue> = { name, run, time: at, date: at.slice(0, 10) };
  return {
    root: "schedule",
    names: Object.keys(values),
    lookUp: (asked) => (Object.hasOwn(values, asked) ? values[asked] : undefined),
  };
}

/** The launch of one firing, all filled in; the name ends with the run's number unless it says where that goes. @throws NavvyError invalid_argument */
export function launchOf(schedule: Pick<Schedule, "name" | "launch">, firing: Pick<Firing, "at" | "run">): Launch {
  const { launch } = schedule;
  const scope = scopeOf(schedule, firing);
  const isFilled = launch.name?.includes("${schedule.") === true;
  const name = isFilled ? fillText(launch.name ?? "", scope) : `${launch.name ?? launch.templateName} #${firing.run}`;
  const parameters = launch.parameters && (fill(launch.parameters, scope) as Record<string, ParameterValue>);
  return { ...launch, name, ...(parameters ? { parameters } : {}) };
}
