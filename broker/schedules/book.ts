import { Schedule, ScheduleState } from "../../protocol/index.js";
import { Book } from "../book.js";
import type { Bus } from "../bus.js";
import { freshState } from "./decide.js";

/** A schedule with how it stands. */
export interface Scheduled {
  schedule: Schedule;
  state: ScheduleState;
}

export type ScheduleBook = Book<Schedule, ScheduleState, Scheduled>;

export function scheduleBook(bus: Bus): ScheduleBook {
  return new Book(bus, {
    bucket: bus.assets.buckets.schedules.name,
    definition: Schedule,
    state: ScheduleState,
    page: (schedule, state) => ({ schedule, state: state?.schedule === schedule.id ? state : freshState(schedule) }),
  });
}
