import type { ScheduleLook } from "../../../broker/index.js";
import type { TaskRecord, When } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import type { View } from "../../output/output.js";
import { age, duration } from "../../output/quantities.js";
import { count, shortId, stateWord } from "../../output/words.js";
import { withoutTemplate } from "../launch/launch.js";

/** A schedule with what became of its template and its last task. */
interface ScheduleRow extends ScheduleLook {
  isTemplateGone?: boolean;
  lastTask?: TaskRecord | undefined;
}

/** How schedules are listed. */
export const SCHEDULE_VIEW: View<ScheduleRow> = {
  kind: "schedule",
  name: ({ schedule }) => schedule.name,
  empty: "no schedules; navvy schedule create NAME TASK --cron EXPRESSION",
  columns: [
    { title: "SCHEDULE", value: ({ schedule }) => schedule.name, isFlexible: true },
    { title: "STATE", value: (row) => stateWord(row.status) },
    { title: "WHEN", value: ({ schedule }) => whenWords(schedule.when), isFlexible: true },
    { title: "TEMPLATE", value: (row) => `${row.isTemplateGone ? "! gone: " : ""}${row.schedule.launch.templateName}`, isFlexible: true },
    { title: "QUEUE", value: ({ schedule }) => schedule.launch.queue, isFlexible: true },
    { title: "NEXT", value: nextWords },
    { title: "LAST", value: lastWords, isFlexible: true },
    { title: "RUNS", value: ({ state }) => String(state.runs), align: "right" },
    { title: "SKIPPED", value: ({ state }) => String(state.skipped), align: "right", isWide: true },
    { title: "BY", value: ({ schedule }) => schedule.createdBy, isWide: true },
  ],
};

/** `navvy schedule ls` */
export const list: Handler = async (call) => {
  const { schedules, tasks } = await call.navvy();
  const looks = await schedules.list((key) => call.out.talk(`! schedule ${key} can not be read: it is left out`));
  const gone = await withoutTemplate(
    call,
    looks.map(({ schedule: { name, launch } }) => ({ name, template: launch.template })),
  );
  const rows = looks.map(async (look) => ({
    ...look,
    isTemplateGone: gone.has(look.schedule.name),
    lastTask: look.state.last && (await tasks.bucket.get(look.state.last.task))?.value,
  }));
  call.out.list(SCHEDULE_VIEW, await Promise.all(rows));
};

/** `navvy schedule show SCHEDULE` */
export const show: Handler<[string]> = async (call, name) => {
  const { schedules, tasks } = await call.navvy();
  const look = await schedules.get(name);
  const gone = await withoutTemplate(call, [{ name, template: look.schedule.launch.template }]);
  const lastTask = look.state.last && (await tasks.bucket.get(look.state.last.task))?.value;
  const row = { ...look, isTemplateGone: gone.has(name), lastTask };
  call.out.show(SCHEDULE_VIEW, row, () => describe(row));
};

function describe(row: ScheduleRow): string {
  const { schedule, state, next, status } = row;
  const { launch, paused, until, limit } = schedule;
  const params = Object.entries(launch.parameters ?? {}).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const ends = [until && `at ${until}`, limit !== undefined && `after ${count(limit, "run")} by time (${state.timed} so far)`].filter(
    Boolean,
  );
  const pairs: [string, string | undefined][] = [
    ["when", whenWords(schedule.when)],
    ["template", `${launch.templateName} (${launch.template})${row.isTemplateGone ? "  ! it is gone: every run fails" : ""}`],
    ["queue", `${launch.queue}${launch.class ? ` (${launch.class})` : ""}`],
    ["name", launch.name],
    ["project", launch.project],
    ["tags", launch.tags?.join(", ")],
    ["params", params.join(" ") || undefined],
    ["overlap", schedule.overlap],
    ["catch-up", schedule.catchUp === "all" ? `all, at most ${schedule.catchUpLimit}` : schedule.catchUp],
    ["ends", ends.join(", or ") || undefined],
    ["created", `${age(schedule.createdAt)} ago by ${schedule.createdBy}`],
    ["paused", paused && `${age(paused.at)} ago by ${paused.by}: ${paused.reason}`],
    ["runs", `${state.runs}${state.skipped > 0 ? `, skipped ${state.skipped}` : ""}`],
    ["waiting", state.waiting.map(({ run }) => `run ${run}`).join(", ") || undefined],
    ["last", state.last && `${lastWords(row)}, ${age(state.last.firedAt)} ago: ${state.last.task}`],
    ["trouble", state.trouble && `${age(state.trouble.at)} ago: ${state.trouble.message}`],
  ];
  const facts = pairs.flatMap(([label, value]) => (value ? [`${label.padEnd(9)} ${value}`] : []));
  const times = next.map((time) => `  ${time}  in ${duration(Date.parse(time) - Date.now())}`);
  return [`${schedule.name}  ${stateWord(status)}`, ...facts, ...(times.length > 0 ? ["next", ...times] : [])].join("\n");
}

/** `30 2 * * * (Europe/Berlin)`, `every 15m`, `once at …`. */
export function whenWords(when: When): string {
  if (when.kind === "cron") return `${when.cron} (${when.timezone})`;
  return when.kind === "interval" ? `every ${duration(when.everyMs)}` : `once at ${when.at}`;
}

/** The next time, and how long until then; a dash for none. */
export function nextWords({ next: [first] }: ScheduleLook): string {
  return first === undefined ? "—" : `${first.replace(/\.000Z$/, "Z")} (in ${duration(Math.max(0, Date.parse(first) - Date.now()))})`;
}

function lastWords({ state, lastTask }: ScheduleRow): string {
  const { last, trouble } = state;
  if (trouble && trouble.at > (last?.firedAt ?? "")) return `! ${trouble.message}`;
  if (!last) return "—";
  return `#${last.run} ${shortId(last.task)} ${lastTask ? stateWord(lastTask.status) : "deleted"}`;
}
