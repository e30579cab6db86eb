import type { Bus } from "../bus.js";
import { scheduleBook } from "../schedules/book.js";
import { triggerBook } from "../triggers/book.js";

/** Tasks that something clones by itself, with what: they stay, however old they are. */
export async function templatesOf(bus: Bus): Promise<Map<string, string>> {
  const [schedules, triggers] = await Promise.all([scheduleBook(bus).list(), triggerBook(bus).list()]);
  return new Map([
    ...schedules.map(({ schedule }) => [schedule.launch.template, `template of schedule ${schedule.name}`] as const),
    ...triggers.map(({ trigger }) => [trigger.launch.template, `template of trigger ${trigger.name}`] as const),
  ]);
}
