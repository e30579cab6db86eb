import { hostname } from "node:os";
import type { ControlHandlers } from "../broker/index.js";
import { NavvyError, PROTOCOL } from "../protocol/index.js";
import type { AgentInnards } from "./innards.js";
import { VERSION } from "./version.js";

interface Verbs {
  drain: (reason: string) => void;
  resume: () => void;
  stop: (now: boolean) => void;
  handOver: () => void;
}

/** What this agent does when it is asked directly. */
export function controlHandlers(parts: AgentInnards, verbs: Verbs): ControlHandlers {
  const { running } = parts;
  return {
    ping: () => ({ agent: parts.config.name, host: hostname(), pid: process.pid, version: VERSION, protocol: PROTOCOL }),
    info: () => ({ beat: parts.beats.latest, version: VERSION }),
    doctor: () => ({
      version: VERSION,
      node: process.version,
      host: hostname(),
      facts: parts.machine.facts,
      leaseAgeMs: Math.round(parts.lease.ageMs),
      leaseMs: parts.config.leaseMs,
      hold: parts.holdReason(),
      trees: parts.spawner.cgroup ?? "held together by process groups and /proc: no cgroup can be made here",
      limitsPids: parts.spawner.canLimitPids,
    }),
    drain: (request) => {
      verbs.drain(request.reason ?? `by ${request.by}`);
      return {};
    },
    resume: () => {
      verbs.resume();
      return {};
    },
    stop: (request) => {
      setImmediate(() => verbs.stop(request.now ?? false)); // after the answer is out
      return { running: running.all().length };
    },
    upgrade: () => {
      setImmediate(verbs.handOver);
      return { running: running.all().length, pid: process.pid };
    },
    abort: (request) => {
      const attempt = running.get(request.task ?? "");
      if (!attempt || (request.attempt !== undefined && attempt.claim.attempt !== request.attempt)) {
        throw new NavvyError("not_found", `task ${request.task ?? "?"} does not run on agent ${parts.config.name}`);
      }
      attempt.abort(request.reason ?? `by ${request.by}`, request.graceMs);
      return {};
    },
  };
}
