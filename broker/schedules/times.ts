import { Cron } from "croner";
import { NavvyError, type Schedule, type When } from "../../protocol/index.js";
import { checkTimezone } from "./zones.js";

/** When it is due, and until when. */
export type Timed = Pick<Schedule, "when" | "until">;

/** The first time after `after` that it is due; undefined: never again. Times in milliseconds since 1970. */
export function nextDue({ when, until }: Timed, after: number): number | undefined {
  const next = nextOf(when, after);
  return next !== undefined && next <= untilMs(until) ? next : undefined;
}

/** The latest times, at most `most`, that it was due after `after` and not after `to`; oldest first. */
export function latestDue({ when, until }: Timed, span: { after: number; to: number; most: number }): number[] {
  const to = Math.min(span.to, untilMs(until));
  const found = to > span.after ? previousOf(when, to, span.most) : [];
  return found.filter((time) => time > span.after);
}

/** Its next times from now on, as far as is known. */
export function upcoming(timed: Timed, after: number, count: number): number[] {
  const times: number[] = [];
  for (let next = nextDue(timed, after); next !== undefined && times.length < count; next = nextDue(timed, next)) times.push(next);
  return times;
}

/**
 * Checks a cron expression and its zone.
 * @throws NavvyError invalid_argument: it can not be read, or can never be due
 */
export function checkCron(expression: string, timezone: string): When {
  const cron = expression.trim().replace(/\s+/g, " ");
  const zone = checkTimezone(timezone);
  const parts = cron.split(" ").length;
  if (!cron.startsWith("@") && parts !== 5) throw unreadable(expression, `it has ${parts} field${parts === 1 ? "" : "s"}`);
  let next: Date | null;
  try {
    next = cronOf(cron, zone).nextRun();
  } catch (error) {
    throw unreadable(expression, (error as Error).message.replace(/^CronPattern: /, ""));
  }
  if (next === null)
    throw new NavvyError("invalid_argument", `cron expression ${JSON.stringify(expression)} is never due`, {
      why: "there is no such day in any year",
      fix: '"0 3 L * *" is 03:00 on the last day of each month',
    });
  return { kind: "cron", cron, timezone: zone };
}

/** A local time (`2026-12-01T03:00`) in a zone, as UTC. @throws NavvyError invalid_argument */
export function localTime(text: string, timezone: string): string {
  const zone = checkTimezone(timezone);
  try {
    const time = new Cron(text, { timezone: zone, paused: true }).nextRun(new Date(0));
    if (time) return time.toISOString();
  } catch {
    // No such time: said below.
  }
  throw new NavvyError("invalid_argument", `${JSON.stringify(text)} is no time`, { fix: ["2026-12-01T03:00", "2026-12-01T03:00:00Z"] });
}

function unreadable(expression: string, why: string): NavvyError {
  return new NavvyError("invalid_argument", `cron expression ${JSON.stringify(expression)} can not be read`, {
    why,
    fix: ['"30 2 * * MON-FRI": minute, hour, day of the month, month, day of the week', "@hourly, @daily, @weekly, @monthly or @yearly"],
  });
}

const CACHED = 1_000;
const crons = new Map<string, Cron>();

/** Reading an expression costs more than asking it. */
function cronOf(cron: string, timezone: string): Cron {
  const key = `${timezone} ${cron}`;
  const known = crons.get(key);
  if (known) return known;
  if (crons.size >= CACHED) crons.clear();
  const made = new Cron(cron, { timezone, paused: true, mode: "5-part" });
  crons.set(key, made);
  return made;
}

function nextOf(when: When, after: number): number | undefined {
  switch (when.kind) {
    case "cron":
      return cronOf(when.cron, when.timezone).nextRun(new Date(after))?.getTime();
    case "interval": {
      const start = Date.parse(when.startAt);
      return after < start ? start : start + (Math.floor((after - start) / when.everyMs) + 1) * when.everyMs;
    }
    case "once": {
      const at = Date.parse(when.at);
      return at > after ? at : undefined;
    }
  }
}

/** The latest up to `to`, oldest first. */
function previousOf(when: When, to: number, most: number): number[] {
  switch (when.kind) {
    case "cron": {
      // What is looked for lies before the given time, so the time itself has to lie before it too.
      const runs = cronOf(when.cron, when.timezone).previousRuns(most, new Date(to + 1));
      return runs.map((run) => run.getTime()).reverse();
    }
    case "interval": {
      const start = Date.parse(when.startAt);
      const newest = Math.floor((to - start) / when.everyMs);
      const count = Math.max(0, Math.min(most, newest + 1));
      return Array.from({ length: count }, (_, i) => start + (newest - count + 1 + i) * when.everyMs);
    }
    case "once":
      return Date.parse(when.at) <= to ? [Date.parse(when.at)] : [];
  }
}

function untilMs(until: string | undefined): number {
  return until === undefined ? Number.POSITIVE_INFINITY : Date.parse(until);
}
