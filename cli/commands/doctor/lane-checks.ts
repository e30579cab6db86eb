import type { Navvy } from "../../../broker/index.js";
import type { Lane } from "../../../protocol/index.js";
import { size } from "../../output/quantities.js";
import { count } from "../../output/words.js";
import type { Check } from "./check.js";

/** A stream this full is worth a word. */
const NEARLY_FULL = 0.9;

/** Lanes that lack their consumer, and consumers that no queue names. */
export async function checkLanes(navvy: Navvy): Promise<Check[]> {
  // Consumers first: one is made before its lane is entered.
  const consumers = await navvy.queues.consumers();
  const queues = await navvy.queues.list();
  const lanes = queues.flatMap((queue) => queue.lanes.map((lane): Lane => ({ queue: queue.name, ...lane })));
  const nameOf = (lane: Lane) => navvy.bus.subjects.laneConsumer(lane);
  const named = new Set(lanes.map(nameOf));
  const stray = consumers.filter((name) => name.includes("+") && !named.has(name));
  const there = new Set(consumers);
  const bare = await trulyBare(
    navvy,
    lanes.filter((lane) => !there.has(nameOf(lane))),
  );
  const found = [...(bare.length > 0 ? [withoutConsumer(bare.map(nameOf))] : []), ...(stray.length > 0 ? [strays(navvy, stray)] : [])];
  return found.length > 0 ? found : [{ id: "lanes", status: "ok", text: `${count(lanes.length, "lane")}, each with its consumer` }];
}

/** A lane that was made between the two readings has its consumer by now. */
async function trulyBare(navvy: Navvy, lanes: Lane[]): Promise<Lane[]> {
  const infos = await Promise.all(lanes.map((lane) => navvy.queues.laneInfo(lane)));
  return lanes.filter((_, i) => infos[i] === undefined);
}

function withoutConsumer(names: string[]): Check {
  return {
    id: "lanes",
    status: "FAIL",
    text: `without a consumer, so nobody can pull from them: ${names.join(", ")}`,
    why: "it was deleted, or lost with the server's disk; whoever coordinates makes it again within a minute",
    fix: ["navvy agent start   (when none is up)"],
  };
}

function strays(navvy: Navvy, names: string[]): Check {
  const queue = names[0]?.split("+")[0] ?? "";
  const hint = `navvy queue create ${queue} && navvy queue rm ${queue}`;
  return {
    id: "consumers",
    status: "warn",
    text: `of no queue: ${names.join(", ")}`,
    why: "a client died as it made or removed a queue; they cost the server a little and harm nobody",
    fix: [hint, `or: nats consumer rm ${navvy.bus.assets.streams.queue.name} '${names[0]}'`],
  };
}

/** Streams and buckets that come near their limits, and the account's room. */
export async function checkRoom(navvy: Navvy): Promise<Check[]> {
  const { streams, buckets, objects } = navvy.bus.assets;
  const dropping = new Set(Object.values(streams).flatMap((spec) => (spec.retention === "limits" ? [spec.name] : [])));
  const names = [
    ...Object.values(streams).map(({ name }) => name),
    ...Object.values(buckets).map(({ name }) => `KV_${name}`),
    `OBJ_${objects.name}`,
  ];
  const infos = await Promise.all(names.map((name) => navvy.bus.jsm.streams.info(name)));
  const found = infos.flatMap(({ config, state }): Check[] => {
    if (config.max_bytes <= 0 || state.bytes < config.max_bytes * NEARLY_FULL) return [];
    const isDropping = dropping.has(config.name);
    return [
      {
        id: "room",
        status: isDropping ? "warn" : "FAIL",
        text: `${config.name} holds ${size(state.bytes)} of ${size(config.max_bytes)}`,
        why: isDropping ? "when it is full its oldest messages go" : "when it is full nothing more can be written",
        fix: [`nats stream edit ${config.name} --max-bytes ${config.max_bytes * 2}`],
      },
    ];
  });
  const account = await checkAccount(navvy);
  if (account.length + found.length > 0) return [...account, ...found];
  return [{ id: "room", status: "ok", text: `${count(names.length, "stream")}, none near its limit` }];
}

async function checkAccount(navvy: Navvy): Promise<Check[]> {
  const { storage, limits } = await navvy.bus.jsm.getAccountInfo();
  if (limits.max_storage <= 0 || storage < limits.max_storage * NEARLY_FULL) return [];
  return [
    {
      id: "room",
      status: "FAIL",
      text: `this account holds ${size(storage)} of ${size(limits.max_storage)}`,
      why: "when it is full nothing more can be written",
      fix: ["raise the account's limit at the server, or delete what is no longer needed: navvy task rm …"],
    },
  ];
}
