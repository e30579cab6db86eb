import type { Navvy } from "../../../broker/index.js";
import { laneOf, NavvyError } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import type { View } from "../../output/output.js";
import { age } from "../../output/quantities.js";
import { count, shortId } from "../../output/words.js";
import type { Dead } from "./dead-row.js";
import { lookIntoLimbo } from "./limbo.js";

interface DeadOptions {
  mend?: boolean;
  seen?: boolean;
}

const DEAD_VIEW: View<Dead> = {
  kind: "dead",
  name: (dead) => dead.task ?? String(dead.sequence ?? ""),
  empty: "nothing is stuck and nothing was set aside",
  columns: [
    { title: "KIND", value: (dead) => dead.kind },
    { title: "QUEUE", value: (dead) => dead.queue || "—", isFlexible: true },
    { title: "WHAT", value: whatOf, isFlexible: true },
    { title: "SINCE", value: (dead) => age(dead.since), align: "right" },
    { title: "WHY", value: (dead) => dead.why, isFlexible: true },
    // A command that is cut can not be pasted: the others give way.
    { title: "FIX", value: (dead) => (dead.fix[0] ?? "—").replace(/ {3}\(.*\)$/, "") },
  ],
};

/** `navvy queue dead [QUEUE]` */
export const dead: Handler<[string | undefined], DeadOptions> = async (call, queue) => {
  const navvy = await call.navvy();
  if (call.options.seen) return markSeen(navvy, queue, (text) => call.out.talk(text));
  if (queue !== undefined) await navvy.queues.get(queue);
  const found = await lookIntoLimbo(navvy, queue);
  if (call.options.mend) await mend(navvy, found, (text) => call.out.talk(text));
  call.out.list(DEAD_VIEW, call.options.mend ? await lookIntoLimbo(navvy, queue) : found);
};

function whatOf(dead: Dead): string {
  if (dead.task !== undefined) return `${shortId(dead.task)} ${dead.name ?? ""}`.trim();
  return dead.sequence === undefined ? "—" : `message ${dead.sequence}`;
}

async function markSeen(navvy: Navvy, queue: string | undefined, say: (text: string) => void): Promise<void> {
  if (queue === undefined)
    throw new NavvyError("invalid_argument", "it was not said of which queue", {
      why: "--seen takes what was set aside off the list",
      fix: "navvy queue dead QUEUE --seen",
    });
  const seen = await navvy.queues.setAside(queue);
  if (seen.length === 0) await navvy.queues.get(queue); // a slip in the name is told; a queue that was removed may still have some
  await navvy.queues.markSetAsideSeen(queue);
  say(`${queue}  ${count(seen.length, "message")} set aside, seen; their events stay`);
}

/** What whoever coordinates does by itself, and what waits for a claim, by hand: lost tickets and messages that nobody needs. */
async function mend(navvy: Navvy, found: Dead[], say: (text: string) => void): Promise<void> {
  let published = 0;
  let deleted = 0;
  for (const { kind, task, sequence } of found) {
    if (kind === "no_message" && task !== undefined && (await publishAgain(navvy, task))) published++;
    const isNeedless = kind === "stale" || kind === "ghost";
    if (isNeedless && sequence !== undefined && (await navvy.queues.messages.delete(sequence))) deleted++;
  }
  say(`${count(published, "ticket")} published again, ${count(deleted, "message")} deleted`);
}

async function publishAgain(navvy: Navvy, id: string): Promise<boolean> {
  const task = await navvy.tasks.get(id);
  const lane = laneOf(task);
  if (task.status !== "queued" || lane === undefined) return false;
  await navvy.queues.publish(lane, { id, ticket: task.ticket }, `again.${Date.now()}`);
  navvy.events.emit({
    kind: "task",
    id,
    event: "repaired",
    reason: "its queue message was lost; published again by hand",
    data: { ticket: task.ticket },
  });
  return true;
}
