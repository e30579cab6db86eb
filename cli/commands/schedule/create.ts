import { checkCron, localTime, localTimezone } from "../../../broker/index.js";
import { NavvyError, type When } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { findTask } from "../../references.js";
import { launchOf, sayIfNobodyServes } from "../launch/launch.js";
import type { ScheduleCreateOptions } from "../schedule.js";
import { nextWords, SCHEDULE_VIEW, whenWords } from "./look.js";

/** `navvy schedule create SCHEDULE TEMPLATE` */
export const create: Handler<[string, string], ScheduleCreateOptions> = async (call, name, reference) => {
  const { options } = call;
  const when = whenOf(options);
  const navvy = await call.navvy();
  const template = await findTask(call, reference);
  const launch = launchOf(template, options);
  const { overlap, catchUp, catchUpLimit, until, limit, createQueue } = options;
  if (limit === 0 || catchUpLimit === 0)
    throw new NavvyError("invalid_argument", `--${limit === 0 ? "limit" : "catch-up-limit"} 0 would be no run at all`);
  await navvy.schedules.create({
    name,
    when,
    template: template.id,
    launch,
    ...(overlap ? { overlap } : {}),
    ...(catchUp ? { catchUp } : {}),
    ...(catchUpLimit === undefined ? {} : { catchUpLimit }),
    ...(until === undefined ? {} : { until: utc(until, options) }),
    ...(limit === undefined ? {} : { limit }),
    ...(createQueue ? { createQueue } : {}),
  });
  const look = await navvy.schedules.get(name);
  call.out.show(SCHEDULE_VIEW, look, () => `${name}  created: ${whenWords(when)}; next ${nextWords(look)}`);
  await sayIfNobodyServes(call, launch.queue);
};

function whenOf(options: ScheduleCreateOptions): When {
  const { cron, every, at, tz, start } = options;
  const given = [cron, every, at].filter((each) => each !== undefined).length;
  if (given !== 1)
    throw new NavvyError("invalid_argument", given === 0 ? "it was not said when" : "several ways to say when were given", {
      fix: ['one of: --cron "30 2 * * *"', "--every 15m", "--at 2h"],
    });
  if (start !== undefined && every === undefined)
    throw new NavvyError("invalid_argument", "--start belongs to --every", { fix: "leave it out, or give --every" });
  if (cron !== undefined) return checkCron(cron, tz ?? localTimezone());
  if (at !== undefined) return { kind: "once", at: utc(at, options) };
  const everyMs = every ?? 0;
  return { kind: "interval", everyMs, startAt: start === undefined ? new Date(Date.now() + everyMs).toISOString() : utc(start, options) };
}

/** A local time is read in the zone that was given, else in this machine's. */
function utc(time: string, { tz }: ScheduleCreateOptions): string {
  return time.endsWith("Z") ? time : localTime(time, tz ?? localTimezone());
}
