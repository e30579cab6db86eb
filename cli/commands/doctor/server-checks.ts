import { isOlder, type Navvy } from "../../../broker/index.js";
import { size } from "../../output/quantities.js";
import type { Check } from "./check.js";

/** The Node version that this process runs on. */
export function checkNode(version: string): Check {
  if (!isOlder(version, [20, 19, 0])) return { id: "node", status: "ok", text: `node ${version}` };
  return {
    id: "node",
    status: "FAIL",
    text: `node ${version} is too old`,
    why: "navvy needs node 20.19 or newer",
    fix: ["install a newer Node: https://nodejs.org"],
  };
}

/** Reachable, how fast, and how old. A cluster too old to be safe was refused at connecting. */
export async function checkServer(navvy: Navvy): Promise<Check[]> {
  const { nc, source } = navvy.bus;
  const version = nc.info?.version ?? "?";
  const rttMs = await nc.rtt();
  const text = `${source}, rtt ${rttMs} ms, server ${version}${nc.info?.cluster ? `, cluster ${nc.info.cluster}` : ""}`;
  const account = await navvy.bus.jsm.getAccountInfo();
  const jetStream: Check = { id: "jetstream", status: "ok", text: `${account.streams} streams, ${size(account.storage)} on disk` };
  if (!isOlder(version, [2, 9, 0]) && isOlder(version, [2, 10, 0]))
    return [{ id: "nats", status: "ok", text: `${text} (2.9 works; newer ones recover faster)` }, jetStream];
  if (isOlder(version, [2, 9, 0])) {
    return [
      { id: "nats", status: "warn", text, why: "navvy is tested with nats-server 2.9.10 and newer", fix: ["upgrade the server"] },
      jetStream,
    ];
  }
  return [{ id: "nats", status: "ok", text }, jetStream];
}

/** Every stream that navvy needs; connecting makes those that are missing, so a missing one here is a refusal. */
export async function checkStreams(navvy: Navvy): Promise<Check[]> {
  const names = streamNames(navvy);
  const found = await Promise.all(
    names.map((name) =>
      navvy.bus.jsm.streams.info(name).then(
        () => true,
        () => false,
      ),
    ),
  );
  const missing = names.filter((_, i) => !found[i]);
  if (missing.length === 0) return [{ id: "streams", status: "ok", text: `all ${names.length} streams and buckets are there` }];
  return [
    {
      id: "streams",
      status: "FAIL",
      text: `missing: ${missing.join(", ")}`,
      why: "they could not be made or were deleted",
      fix: ["connect once with credentials that may make streams: navvy queue ls"],
    },
  ];
}

/** What a crash of the server can cost: its sync interval can not be asked for by a client. */
export async function checkDurability(navvy: Navvy): Promise<Check[]> {
  const info = await navvy.bus.jsm.streams.info(navvy.bus.assets.streams.queue.name);
  const replicas = info.config.num_replicas;
  const version = navvy.bus.nc.info?.version ?? "0";
  if (replicas >= 3) return [{ id: "durability", status: "ok", text: `${replicas} replicas` }];
  return [
    {
      id: "durability",
      status: "warn",
      text: `${replicas === 1 ? "one copy" : `${replicas} copies`} of everything`,
      why: "a server writes to disk every 2 minutes unless told otherwise: a power cut may lose what came since (a crash of the server alone does not)",
      fix: [
        isOlder(version, [2, 10, 0])
          ? `upgrade the server (${version}): sync_interval is understood since 2.10`
          : "in the server's configuration:  jetstream { sync_interval: always }",
        "or a cluster of three with 3 replicas",
      ],
    },
  ];
}

function streamNames(navvy: Navvy): string[] {
  const { streams, buckets, objects } = navvy.bus.assets;
  return [
    ...Object.values(streams).map(({ name }) => name),
    ...Object.values(buckets).map(({ name }) => `KV_${name}`),
    `OBJ_${objects.name}`,
  ];
}
