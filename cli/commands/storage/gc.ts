import type { Expiry, GcReport } from "../../../broker/index.js";
import { KEPT_KINDS } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { duration, size } from "../../output/quantities.js";
import { count, shortId } from "../../output/words.js";
import type { GcFlags } from "../storage.js";

const DEFAULT_GRACE_MS = 86_400_000;

/** `navvy gc [--dry-run]` */
export const gc: Handler<[], GcFlags> = async (call) => {
  const { dryRun = false, grace } = call.options;
  const { storage } = await call.navvy();
  const report = await storage.gc({
    isDry: dryRun,
    ...(grace === undefined ? {} : { graceMs: grace }),
    onStep: (sentence) => call.out.talk(sentence),
  });
  call.out.show({ kind: "gc", name: () => report.objects.map(({ sha256 }) => sha256).join("\n") }, report, () => textOf(report));
  if (call.out.isData) return;
  for (const { id, name, kind, why } of call.out.format === "wide" ? report.expired : [])
    call.out.talk(`  ${shortId(id)}  ${name}  ${kind}: ${why}`);
  for (const excess of report.excesses) call.out.talk(excessLine(excess));
  if (report.young.count > 0) call.out.talk(youngLine(report, grace));
  if (report.unreadable.length > 0)
    call.out.talk(
      `${count(report.unreadable.length, "record")} can not be read, and all that they name is kept: ${report.unreadable.join(", ")}`,
    );
};

function textOf(report: GcReport): string {
  const bytes = report.objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  const lines = [
    ...expiredLines(report.expired),
    ...(report.objects.length > 0 ? [`${count(report.objects.length, "object")} that nothing refers to, ${size(bytes)}`] : []),
    ...(report.uploads.count > 0
      ? [`${count(report.uploads.count, "upload")} that never ended, ${count(report.uploads.chunks, "chunk")}`]
      : []),
    ...(report.leftovers > 0 ? [`${count(report.leftovers, "message")} of logs and metrics of tasks that are gone`] : []),
    ...(report.markers > 0 ? [`${count(report.markers, "trace")} of deletions`] : []),
  ];
  if (lines.length === 0) return "nothing to take away";
  return [report.isDry ? "would take away:" : "took away:", ...lines.map((line) => `  ${line}`)].join("\n");
}

/** `logs of 3 tasks, 1.2 MiB`, by kind. */
export function expiredLines(expired: Expiry[]): string[] {
  return KEPT_KINDS.flatMap((kind) => {
    const of = expired.filter((each) => each.kind === kind);
    const bytes = size(of.reduce((sum, each) => sum + each.bytes, 0));
    if (of.length === 0) return [];
    return [
      kind === "tasks"
        ? `${count(of.length, "task")} with all that they have, ${bytes}`
        : `${kind} of ${count(of.length, "task")}, ${bytes}`,
    ];
  });
}

/** A place that retention can not bring below its limit. */
export function excessLine({ place, kind, bytes, limit }: GcReport["excesses"][number]): string {
  return `${place} is over its limit: ${size(bytes)} of ${kind}, ${size(limit)} allowed; what is left runs, waits, is published or is tagged keep`;
}

function youngLine({ young, isDry }: GcReport, grace = DEFAULT_GRACE_MS): string {
  const what = `${count(young.count, "object")} (${size(young.bytes)}) that nothing refers to are younger than ${duration(grace)}: they may belong to an upload`;
  return grace > 60_000 ? `${what}. To take them too: navvy gc --grace ${isDry ? "1h --dry-run" : "1h"}` : what;
}
