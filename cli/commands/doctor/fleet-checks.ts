import type { AgentView, Navvy } from "../../../broker/index.js";
import { PROTOCOL } from "../../../protocol/index.js";
import { count } from "../../output/words.js";
import { lookAtQueues } from "../queue/look.js";
import type { Check } from "./check.js";

/** Clocks further apart than this confuse people, though nothing of navvy's depends on them. */
const CLOCK_WARN_MS = 2_000;

/** Agents: up, of which protocol, and with a right clock. */
export async function checkAgents(navvy: Navvy): Promise<Check[]> {
  const agents = await navvy.fleet.agents({ ask: true });
  const up = agents.filter((view) => view.isUp);
  if (up.length === 0)
    return [
      {
        id: "agents",
        status: "warn",
        text: agents.length ? `none of ${agents.length} is up` : "there are none",
        fix: ["navvy agent start"],
      },
    ];
  return [presence(agents, up), protocols(up), clocks(up)];
}

function presence(agents: AgentView[], up: AgentView[]): Check {
  const gone = agents.filter((view) => !view.isUp && view.record.leftAt === undefined).map((view) => view.record.name);
  const silent = up.filter((view) => !view.beat).map((view) => view.record.name);
  const text = `${up.length} up: ${up
    .map((view) => view.record.name)
    .slice(0, 5)
    .join(", ")}${up.length > 5 ? " …" : ""}`;
  if (silent.length > 0)
    return {
      id: "agents",
      status: "warn",
      text,
      why: `no answer from ${silent.join(", ")}: frozen or cut off`,
      fix: [`navvy agent show ${silent[0]}`],
    };
  if (gone.length > 0)
    return {
      id: "agents",
      status: "warn",
      text,
      why: `gone without leaving: ${gone.join(", ")}`,
      fix: [`start it again there, or forget it: navvy agent rm ${gone[0]}`],
    };
  return { id: "agents", status: "ok", text };
}

function protocols(up: AgentView[]): Check {
  const seen = [...new Set(up.map((view) => view.record.protocol))].sort((a, b) => a - b);
  const text = `this client ${PROTOCOL}, agents ${seen.join(", ")}`;
  if (seen.every((protocol) => protocol === PROTOCOL || protocol === PROTOCOL - 1)) return { id: "protocol", status: "ok", text };
  const odd = up.filter((view) => view.record.protocol !== PROTOCOL).map((view) => view.record.name);
  return {
    id: "protocol",
    status: "FAIL",
    text,
    why: "a protocol and the one before it understand each other, no others",
    fix: [`bring navvy to one version here and on ${odd.join(", ")}`],
  };
}

/** By the time in the answer that was asked for just now. */
function clocks(up: AgentView[]): Check {
  const nowMs = Date.now();
  const off = up
    .flatMap(({ record, beat }) => (beat ? [{ name: record.name, ms: Date.parse(beat.at) - nowMs }] : []))
    .filter(({ ms }) => ms > CLOCK_WARN_MS || ms < -CLOCK_WARN_MS - 2_000);
  if (off.length === 0) return { id: "clock", status: "ok", text: "agents' clocks agree with this one" };
  const text = off.map(({ name, ms }) => `${name} ${(Math.abs(ms) / 1000).toFixed(1)} s ${ms > 0 ? "ahead" : "behind"}`).join(", ");
  return {
    id: "clock",
    status: "warn",
    text,
    why: "times in logs and lists will look odd; leases do not depend on clocks",
    fix: ["sudo timedatectl set-ntp true"],
  };
}

/** Work that waits where nobody serves: the commonest reason for "it hangs". */
export async function checkQueues(navvy: Navvy): Promise<Check[]> {
  const queues = await lookAtQueues(navvy);
  const stuck = queues.filter((queue) => queue.waiting > 0 && queue.agents.length === 0);
  const paused = queues.filter((queue) => queue.waiting > 0 && queue.paused);
  const found: Check[] = [
    ...stuck.map(
      ({ name, waiting }): Check => ({
        id: "queues",
        status: "FAIL",
        text: `${count(waiting, "task")} on ${name}, which nobody serves`,
        why: "no agent that is up has this queue",
        fix: [name === "services" ? "navvy agent start --services 4" : `navvy agent start -q ${name}`],
      }),
    ),
    ...paused.map(
      ({ name, waiting }): Check => ({
        id: "queues",
        status: "warn",
        text: `${count(waiting, "task")} on ${name}, which is paused`,
        fix: [`navvy queue resume ${name}`],
      }),
    ),
  ];
  return found.length ? found : [{ id: "queues", status: "ok", text: `${count(queues.length, "queue")}; whatever waits is served` }];
}

/** Records that this navvy can not read. */
export async function checkRecords(navvy: Navvy): Promise<Check[]> {
  const unreadable: string[] = [];
  const tasks = await navvy.tasks.list({}, (key) => unreadable.push(key));
  if (unreadable.length === 0) return [{ id: "records", status: "ok", text: `${count(tasks.length, "task")}, all can be read` }];
  return [
    {
      id: "records",
      status: "warn",
      text: `${unreadable.length} of ${tasks.length + unreadable.length} tasks can not be read here`,
      why: `written by a newer navvy, or damaged: ${unreadable.slice(0, 3).join(", ")}`,
      fix: ["upgrade navvy on this machine"],
    },
  ];
}
