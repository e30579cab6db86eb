import type { AgentView } from "../../../broker/index.js";
import type { Gpu } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import type { View } from "../../output/output.js";
import { age, bar, size } from "../../output/quantities.js";
import { once, shortId, stateWord } from "../../output/words.js";

/** An agent for programs: its registration, whether it is up, and its last beat. */
const AGENT_VIEW: View<AgentView> = {
  kind: "agent",
  name: (view) => view.record.name,
  empty: "no agents yet; start one: navvy agent start",
  columns: [
    { title: "NAME", value: (view) => view.record.name, isFlexible: true },
    { title: "STATE", value: (view) => stateWord(stateOf(view)) },
    { title: "QUEUES", value: (view) => view.record.queues.join(","), isFlexible: true },
    { title: "GPUS", value: gpusAndAside, isFlexible: true },
    { title: "BUSY", value: busyOf, align: "right" },
    { title: "LOAD", value: ({ beat }) => (beat ? `${Math.round(beat.cpu.used)} %` : "—"), align: "right" },
    { title: "FREE DISK", value: ({ beat }) => (beat ? size(beat.disk.freeBytes) : "—"), align: "right" },
    { title: "VERSION", value: (view) => view.record.version },
    { title: "HOST", value: (view) => view.record.host, isWide: true },
    { title: "SINCE", value: (view) => age(view.record.registeredAt), isWide: true },
    { title: "LABELS", value: (view) => labelsOf(view), isWide: true, isFlexible: true },
  ],
};

/** `navvy agent ls` */
export const list: Handler = async (call) => {
  const navvy = await call.navvy();
  call.out.list(AGENT_VIEW, await navvy.fleet.agents({ ask: true }));
};

/** `navvy agent show NAME` */
export const show: Handler<[string]> = async (call, name) => {
  const navvy = await call.navvy();
  const known = await navvy.fleet.agent(name);
  const views = await navvy.fleet.agents({ ask: true });
  const view = views.find((each) => each.record.name === name) ?? known;
  call.out.show(AGENT_VIEW, view, () => describe(view));
};

/** One word for how an agent is: its own where it answers, else what its session says. */
export function stateOf({ record, isUp, beat }: AgentView): string {
  if (isUp) return beat?.state ?? "up";
  return record.leftAt ? "left" : "gone";
}

function busyOf({ record, beat }: AgentView): string {
  if (!beat) return `—/${record.slots}`;
  const services = beat.services.total > 0 ? ` +${beat.services.used}/${beat.services.total}` : "";
  return `${beat.slots.used}/${beat.slots.total}${services}`;
}

function gpusOf(gpus: Gpu[]): string {
  const kinds = new Map<string, number>();
  for (const gpu of gpus) kinds.set(gpu.name, (kinds.get(gpu.name) ?? 0) + 1);
  return [...kinds].map(([name, n]) => `${n}×${name}`).join(", ") || "—";
}

/** One that is set aside is worth a word in every list: it is missed by whoever waits for it. */
function gpusAndAside({ record, beat }: AgentView): string {
  const aside = beat?.gpus.filter((gpu) => gpu.asideReason !== undefined).length ?? 0;
  return aside === 0 ? gpusOf(record.gpus) : `${gpusOf(record.gpus)} (${aside} set aside)`;
}

function labelsOf(view: AgentView): string {
  return (
    Object.entries(view.record.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(",") || "—"
  );
}

function describe(view: AgentView): string {
  const { record, beat } = view;
  const lines = [
    `${record.name}  ${stateWord(stateOf(view))}${beat?.reason ? `: ${once(stateOf(view), beat.reason)}` : ""}`,
    `host      ${record.host}, ${record.os}, pid ${record.pid}, navvy ${record.version}`,
    `serves    ${record.queues.join(", ") || "nothing"} (${record.order}), ${record.slots} slots, ${record.serviceSlots} service slots`,
    `machine   ${record.cpus} cpu, ${size(record.memoryBytes)}, GPUs: ${gpusOf(record.gpus)}`,
    `labels    ${labelsOf(view)}`,
    `secrets   ${record.secrets?.join(", ") || "none"}`,
    `engine    ${record.engine ?? "none: takes no tasks with an image"}`,
    `since     ${age(record.registeredAt)}${record.leftAt ? `, left ${age(record.leftAt)} ago` : ""}`,
  ];
  if (!beat) return lines.join("\n");
  const running = beat.running.map((each) => `  ${shortId(each.id)}  ${each.name}  ${each.queue}  ${each.phase}  ${age(each.since)}`);
  lines.push(
    `cpu       ${bar(beat.cpu.used / 100)}, load ${beat.cpu.load1.toFixed(1)} on ${beat.cpu.cores} cores`,
    `memory    ${bar(beat.memory.usedBytes / beat.memory.totalBytes)} of ${size(beat.memory.totalBytes)}`,
    `disk      ${size(beat.disk.freeBytes)} free`,
    ...beat.gpus.map(describeGpu),
    running.length ? "running" : "running   nothing",
    ...running,
  );
  return lines.join("\n");
}

function describeGpu(gpu: Gpu): string {
  const memory = gpu.memoryTotalBytes ? `  ${size(gpu.memoryUsedBytes ?? 0)} of ${size(gpu.memoryTotalBytes)}` : "";
  const use = gpu.utilization === undefined ? "" : `  ${bar(gpu.utilization / 100)}`;
  const heat = gpu.temperatureC === undefined ? "" : `  ${gpu.temperatureC} °C`;
  const power = gpu.powerW === undefined ? "" : `  ${Math.round(gpu.powerW)} W`;
  const held = gpu.heldBy === undefined ? "" : `  runs ${shortId(gpu.heldBy)}`;
  const aside = gpu.asideReason === undefined ? "" : `  set aside: ${gpu.asideReason}`;
  return `${`gpu ${gpu.index}`.padEnd(9)} ${gpu.name}${migWords(gpu)}${use}${memory}${heat}${power}${held}${aside}`;
}

function migWords({ mig }: Gpu): string {
  return mig === undefined ? "" : ` MIG ${mig.profile} (${mig.parent}:${mig.device})`;
}
