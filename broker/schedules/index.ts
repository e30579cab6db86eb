export type { Scheduled } from "./book.js";
export { type NewSchedule, type ScheduleLook, Schedules } from "./schedules.js";
export { checkCron, localTime } from "./times.js";
export { localTimezone } from "./zones.js";
