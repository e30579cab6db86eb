import type { Navvy } from "../../../broker/index.js";
import type { SessionRecord } from "../../../protocol/index.js";
import { age, duration } from "../../output/quantities.js";
import { count } from "../../output/words.js";
import type { Check } from "./check.js";
import { type Lease, type Leases, watchLeases } from "./leases.js";

/** Who coordinates, every session with its age, and agents that have none or share a name. */
export async function checkLeases(navvy: Navvy): Promise<Check[]> {
  const [leases, agents] = await Promise.all([watchLeases(navvy), navvy.fleet.agents()]);
  const alive = new Set(leases.sessions.map(({ record }) => record.agent));
  const gone = agents.filter(({ record }) => record.leftAt === undefined && !alive.has(record.name)).map(({ record }) => record.name);
  return [leaderOf(leases), sessionsOf(leases), ...twins(leases.sessions), ...(gone.length > 0 ? [withoutSession(gone)] : [])];
}

function leaderOf({ leader, sessions }: Leases): Check {
  const id = "leader";
  if (!leader) {
    const isAnyone = sessions.some((each) => !each.isSilent);
    const why = isAnyone ? "agents are up, but none has taken the place; one does within seconds" : "no agent is up";
    return { id, status: "FAIL", text: "nobody coordinates: what is stuck stays stuck", why, fix: ["navvy agent start"] };
  }
  const { record, ageMs, isSilent } = leader;
  const text = `${record.agent}, since ${age(record.since)}, renewed ${duration(ageMs)} ago`;
  if (!isSilent) return { id, status: "ok", text };
  return {
    id,
    status: "FAIL",
    text,
    why: `silent for longer than its lease of ${duration(record.leaseMs)}: any other agent takes its place after 1.2 of them`,
    fix: [`navvy agent show ${record.agent}`, "navvy agent start   (when no other is up)"],
  };
}

function sessionsOf({ sessions }: Leases): Check {
  const id = "sessions";
  const rows = sessions.map(({ record, ageMs, isSilent }) => ({
    agent: record.agent,
    session: record.session,
    host: record.host,
    ageMs,
    isSilent,
  }));
  const silent = sessions.filter((each) => each.isSilent);
  const text =
    sessions
      .slice(0, 5)
      .map(({ record, ageMs }) => `${record.agent} ${duration(ageMs)}`)
      .join(", ") + (sessions.length > 5 ? ` and ${sessions.length - 5} more` : "");
  if (silent.length === 0)
    return {
      id,
      status: "ok",
      text: sessions.length ? `${count(sessions.length, "lease")}, last renewed: ${text}` : "there are none",
      rows,
    };
  const [first] = silent;
  return {
    id,
    status: "FAIL",
    text: `silent: ${silent.map(({ record, ageMs }) => `${record.agent} for ${duration(ageMs)}`).join(", ")}`,
    why: "frozen, cut off or dead; whoever coordinates takes such a session and its tasks away after 1.2 leases",
    fix: [`navvy agent show ${first?.record.agent}`, "navvy agent start   (when nobody coordinates)"],
    rows,
  };
}

/** Two sessions of one name that are both renewed: two processes answer to it. */
function twins(sessions: Lease<SessionRecord>[]): Check[] {
  const names = new Set(sessions.map(({ record }) => record.agent));
  return [...names].flatMap((name): Check[] => {
    const same = sessions.filter(({ record, hasMoved }) => record.agent === name && hasMoved);
    if (same.length < 2) return [];
    const places = same.map(({ record }) => `${record.host} (pid ${record.pid})`).join(" and ");
    return [
      {
        id: "twins",
        status: "FAIL",
        text: `two agents are named ${name}: on ${places}`,
        why: "each answers what is asked of the other, and their registrations overwrite each other",
        fix: [
          `end one on its machine: kill ${same.at(-1)?.record.pid}`,
          `and start it under another name: navvy agent start --name ${name}-2`,
        ],
      },
    ];
  });
}

function withoutSession(names: string[]): Check {
  return {
    id: "gone",
    status: "warn",
    text: `without a session: ${names.join(", ")}`,
    why: "they registered and never left in good order",
    fix: [`start it again there, or forget it: navvy agent rm ${names[0]}`],
  };
}
