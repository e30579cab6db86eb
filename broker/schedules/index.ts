export type { BookHandlers, Scheduled } from "./book.js";
export { type NewSchedule, type ScheduleLook, Schedules } from "./schedules.js";
export { checkCron, localTime } from "./times.js";
export { localTimezone } from "./zones.js";
