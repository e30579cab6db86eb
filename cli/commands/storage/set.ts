import { KEPT_KINDS, type Keep, NavvyError, type Retention } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { duration } from "../../output/quantities.js";
import type { StorageSetOptions } from "../storage.js";
import { rulesOf } from "./rules.js";

/** `navvy storage set [--project P | --queue Q] --logs 30d --artifacts 90d,50G …` */
export const set: Handler<[], StorageSetOptions> = async (call) => {
  const { project, queue, every, ...options } = call.options;
  const change = Object.fromEntries(KEPT_KINDS.map((kind) => [kind, options[kind]]));
  const hasRule = Object.values(change).some((rule) => rule !== undefined);
  if (!hasRule && every === undefined)
    throw new NavvyError("invalid_argument", "nothing was said to keep", { fix: "navvy storage set --logs 30d --artifacts 90d,50G" });
  const { storage, queues } = await call.navvy();
  if (queue !== undefined) await queues.get(queue); // a slip would be a rule for nobody
  let retention: Retention | undefined;
  if (hasRule) retention = await storage.settings.set({ project, queue }, change);
  if (every !== undefined) retention = await storage.settings.setEvery(every === "never" ? undefined : every);
  if (retention === undefined) return;
  const { default: fleet, projects, queues: places, everyMs } = retention;
  const [place, keep]: [string, Keep] =
    project !== undefined
      ? [`project ${project}`, projects[project] ?? {}]
      : queue !== undefined
        ? [`queue ${queue}`, places[queue] ?? {}]
        : ["fleet", fleet];
  call.out.show({ kind: "retention", name: () => place }, retention, () => `${place}: ${rulesOf(keep) || "no rules of its own"}`);
  call.out.talk(
    everyMs === undefined
      ? "enforced by: navvy gc   (by itself: --every 1d)"
      : `enforced every ${duration(everyMs)} by itself, and by navvy gc`,
  );
};
