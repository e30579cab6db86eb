import type { Navvy } from "../../broker/index.js";
import type { Lane } from "../../protocol/index.js";

/** More lanes than this are first narrowed down, by one request for each queue, to those on which anything stands. */
const LOOK_AT_EACH = 8;

/** The sequence of the oldest message on each lane; lanes without one are left out. Nothing is taken by looking. */
export async function headsOf(navvy: Navvy, lanes: Lane[]): Promise<Map<Lane, number>> {
  const standing = lanes.length > LOOK_AT_EACH ? await onWhichAnythingStands(navvy, lanes) : lanes;
  const heads = await Promise.all(standing.map((lane) => navvy.queues.messages.head(lane)));
  return new Map(standing.flatMap((lane, i) => (heads[i] === undefined ? [] : [[lane, heads[i]]])));
}

async function onWhichAnythingStands({ queues, bus }: Navvy, lanes: Lane[]): Promise<Lane[]> {
  const names = new Set(lanes.map((lane) => lane.queue));
  const counts = (await Promise.all([...names].map((queue) => queues.messages.counts(queue)))).flat();
  const standing = new Set(counts.map(({ lane }) => bus.subjects.lane(lane)));
  return lanes.filter((lane) => standing.has(bus.subjects.lane(lane)));
}
