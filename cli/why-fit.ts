import type { AgentView } from "../broker/index.js";
import {
  type AgentRecord,
  type Beat,
  type Gpu,
  type Misfit,
  misfitsOf,
  type Needs,
  offeredLabels,
  secretOfLabel,
} from "../protocol/index.js";
import { gpuKinds, gpuWords, suitable } from "./output/needs.js";
import { size } from "./output/quantities.js";
import { count, once, shortId } from "./output/words.js";

/** What keeps an agent from taking a task. `too_small`: for ever, as the agent is now. */
export interface Obstacle {
  kind: "draining" | "too_small" | "busy" | "none";
  text: string;
  misfits: Misfit[];
}

/** Pure, from what the agent says of itself: its registration and its last beat. */
export function obstacleAt({ record, beat }: AgentView, { needs, queue }: { needs: Needs; queue: string }): Obstacle {
  const misfits = misfitsOfAgent(needs, record);
  const is = (kind: Obstacle["kind"], text: string): Obstacle => ({ kind, text, misfits });
  if (misfits.length > 0) return is("too_small", misfits.map((each) => misfitWords(each, { record, needs })).join("; "));
  if (!beat) return is("none", "up, but does not answer just now");
  if (beat.state === "draining" || beat.state === "stopping")
    return is("draining", `${beat.state}${beat.reason ? `: ${once(beat.state, beat.reason)}` : ""}`);
  if (beat.state === "disconnected") return is("busy", "cut off from NATS just now");
  const { used, total } = queue === "services" ? beat.services : beat.slots;
  if (total === 0) return is("too_small", "it has no slots for that queue");
  const names = beat.running.map((each) => `${each.name} ${shortId(each.id)}`).slice(0, 3);
  if (used >= total) return is("busy", `busy ${used}/${total}${names.length ? ` (${names.join(", ")})` : ""}`);
  const short = shortOf(needs, { record, beat });
  if (short.length > 0) return is("busy", short.join("; "));
  return is("none", `${total - used} of ${count(total, "slot")} free${beat.reason ? `, but takes nothing: ${beat.reason}` : ""}`);
}

/** What an agent can never give a task. */
export function misfitsOfAgent(needs: Needs, record: AgentRecord): Misfit[] {
  const labels = offeredLabels(record.labels, record.secrets);
  return misfitsOf(needs, { ...record, labels, container: record.engine !== undefined });
}

/** Lines that change it, for a task that nobody that is up can ever run. */
export function fixesOf(misfits: Misfit[], { task, queue }: { task: string; queue: string }): string[] {
  const kinds = new Set(misfits.map((each) => each.kind));
  const flags = [
    kinds.has("gpus") && "--gpus N",
    kinds.has("cpus") && "--cpus N",
    kinds.has("memory") && "--mem SIZE",
    kinds.has("disk") && "--disk SIZE",
  ].filter(Boolean);
  const secrets = misfits.flatMap((each) => (each.kind === "label" ? [secretOfLabel(each.key)] : [])).filter((name) => name !== undefined);
  const labels = misfits.flatMap((each) =>
    each.kind === "label" && secretOfLabel(each.key) === undefined ? [`--label ${each.key}=${each.value}`] : [],
  );
  const start = `navvy agent start -q ${queue}`;
  return [
    ...(flags.length > 0 ? [`navvy task dequeue ${task} && navvy task edit ${task} ${flags.join(" ")}`] : []),
    ...(labels.length > 0 ? [`${start} ${[...new Set(labels)].join(" ")}   where it is so`] : []),
    ...[...new Set(secrets)].map((name) => `navvy secret set ${name} --agent AGENT < FILE   or name it in its agent's --secrets FILE`),
    ...(kinds.has("container") ? [`${start}   on a machine with docker or podman`] : []),
    ...(flags.length > 0 ? [`${start}   on a machine that has it`] : []),
  ];
}

function misfitWords(misfit: Misfit, { record, needs }: { record: AgentRecord; needs: Needs }): string {
  switch (misfit.kind) {
    case "gpus": {
      const some = misfit.matching > 0 && misfit.matching < record.gpus.length ? `, ${misfit.matching} of them as wanted` : "";
      return `it has ${gpuKinds(record.gpus, needs)}${some}, the task needs ${gpuWords(needs.gpus, needs)}`;
    }
    case "cpus":
      return `it has ${count(record.cpus, "cpu")}, the task needs ${needs.cpus}`;
    case "memory":
      return `it has ${size(record.memoryBytes)} of memory, the task needs ${size(needs.memoryBytes ?? 0)}`;
    case "disk":
      return `its disk has ${size(record.diskBytes ?? 0)}, the task needs ${size(needs.diskBytes ?? 0)} of it`;
    case "label": {
      const secret = secretOfLabel(misfit.key);
      if (secret !== undefined) return `it has no secret ${secret}`;
      const has = record.labels[misfit.key];
      return has === undefined
        ? `label ${misfit.key}=${misfit.value} is missing`
        : `label ${misfit.key} is ${has}, the task needs ${misfit.value}`;
    }
    case "container":
      return "it runs no containers, and the task wants one";
  }
}

/** What it has, and does not have free just now. */
function shortOf(needs: Needs, { record, beat }: { record: AgentRecord; beat: Beat }): string[] {
  const held = beat.reserved ?? { cpus: 0, memoryBytes: 0, diskBytes: 0 };
  const cpus = Math.max(0, Number((record.cpus - held.cpus).toFixed(2)));
  const memoryBytes = Math.max(0, record.memoryBytes - held.memoryBytes);
  const diskBytes = Math.max(0, beat.disk.freeBytes - held.diskBytes);
  const gpus = suitable(beat.gpus, needs);
  const free = gpus.filter((gpu) => gpu.heldBy === undefined && gpu.asideReason === undefined);
  const told: (string | false)[] = [
    free.length < needs.gpus &&
      `${free.length} of ${gpuWords(gpus.length, needs)} free, the task needs ${needs.gpus}: ${gpus.flatMap((gpu) => takenWords(gpu, beat)).join(", ")}`,
    cpus < (needs.cpus ?? 0) && `${cpus} of ${count(record.cpus, "cpu")} free, the task needs ${needs.cpus}: busy`,
    memoryBytes < (needs.memoryBytes ?? 0) &&
      `${size(memoryBytes)} of ${size(record.memoryBytes)} of memory free, the task needs ${size(needs.memoryBytes ?? 0)}: busy`,
    diskBytes < (needs.diskBytes ?? 0) && `${size(diskBytes)} of disk free, the task needs ${size(needs.diskBytes ?? 0)}`,
  ];
  return told.filter((text) => text !== false);
}

function takenWords(gpu: Gpu, beat: Beat): string[] {
  const running = beat.running.find((each) => each.id === gpu.heldBy);
  if (gpu.heldBy !== undefined) return [`GPU ${gpu.index} runs ${running?.name ?? "task"} ${shortId(gpu.heldBy)}`];
  return gpu.asideReason === undefined ? [] : [`GPU ${gpu.index} is set aside: ${gpu.asideReason}`];
}
