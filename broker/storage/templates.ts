import type { Bus } from "../bus.js";
import { ScheduleBook } from "../schedules/book.js";

/** Tasks that something clones by itself, with what: they stay, however old they are. */
export async function templatesOf(bus: Bus): Promise<Map<string, string>> {
  const schedules = await new ScheduleBook(bus).list();
  return new Map(schedules.map(({ schedule }) => [schedule.launch.template, `template of schedule ${schedule.name}`]));
}
