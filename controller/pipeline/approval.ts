import type { Step } from "../graph/graph.js";
import type { Context } from "./context.js";
import { KEYS } from "./notebook.js";

/** A person's word on a step that waits for it, as the journal keeps it. */
export interface Approval {
  isApproved: boolean;
  comment?: string;
}

/** Waits until someone who may has said yes or no. @returns why it does not go on; undefined: it does */
export async function approved({ notebook, own, stop }: Context, step: Step): Promise<string | undefined> {
  if (!step.approve) return undefined;
  const { who, timeLimitMs } = step.approve;
  const asked = notebook.get(KEYS.asked(step.name));
  if (!asked) {
    await notebook.set(KEYS.asked(step.name), true);
    const whom = who.length > 0 ? ` of ${who.join(" or ")}` : "";
    own.report.note(
      "info",
      `step ${step.name} waits for the approval${whom}: navvy pipeline approve ${own.record.id.slice(-8)} ${step.name}`,
    );
  }
  const since = Date.parse(notebook.get(KEYS.asked(step.name))?.at ?? "");
  const late = new AbortController();
  const leftMs = Math.max(0, since + (timeLimitMs ?? 0) - Date.now());
  const timer = timeLimitMs === undefined ? undefined : setTimeout(() => late.abort(), Math.min(leftMs, 2 ** 31 - 1));
  const heard = async () => {
    for (;;) {
      const noted = await notebook.waitFor(KEYS.approval(step.name), AbortSignal.any([stop, late.signal]));
      if (!noted || mayApprove(step, noted.by)) return noted;
      own.report.note("warn", `${noted.by} may not say whether step ${step.name} goes on: ${who.join(" or ")} may`);
      await notebook.forget(KEYS.approval(step.name));
    }
  };
  try {
    const noted = await heard();
    if (!noted) return stop.aborted ? (stop.reason as Error).message : `nobody approved it within ${(timeLimitMs ?? 0) / 1000} s`;
    const { isApproved, comment } = noted.value as unknown as Approval;
    return isApproved ? undefined : `${noted.by} refused it${comment ? `: ${comment}` : ""}`;
  } finally {
    clearTimeout(timer);
  }
}

/** Whether a person may: by the name, or by the name at that host. */
export function mayApprove({ approve }: Step, by: string): boolean {
  const who = approve?.who ?? [];
  return who.length === 0 || who.some((name) => by === name || by.startsWith(`${name}@`));
}
