import { type CleanupLine, cleanUp } from "../../../controller/index.js";
import type { Handler } from "../../call.js";
import type { View } from "../../output/output.js";
import { age } from "../../output/quantities.js";
import { count, shortId, stateWord } from "../../output/words.js";
import type { CleanupFlags } from "../cleanup.js";

/** A line as it is printed. */
type CleanupRow = Pick<CleanupLine["task"], "id" | "name" | "project" | "status" | "endedAt"> &
  Pick<CleanupLine, "done" | "why"> & { isDry: boolean };

const CLEANUP_VIEW: View<CleanupRow> = {
  kind: "cleaned-task",
  name: ({ id }) => id,
  empty: "nothing is old enough",
  columns: [
    { title: "ID", value: ({ id }) => shortId(id) },
    { title: "NAME", value: ({ name }) => name, isFlexible: true },
    { title: "PROJECT", value: ({ project }) => project, isFlexible: true },
    { title: "STATE", value: ({ status }) => stateWord(status) },
    { title: "ENDED", value: ({ endedAt }) => age(endedAt), align: "right" },
    { title: "DONE", value: ({ done, isDry }) => (isDry && done !== "kept" ? `would be ${done}` : done) },
    { title: "WHY", value: ({ why }) => why ?? "", isFlexible: true },
  ],
};

/** `navvy cleanup run` */
export const run: Handler<[], CleanupFlags> = async (call) => {
  const { older, status, project, keepTagged, dryRun = false } = call.options;
  const verb = call.options.delete ? "delete" : "archive";
  const lines = await cleanUp(await call.navvy(), { olderMs: older, status, project, keepTagged, verb, isDry: dryRun });
  const rows = lines.map(({ task, done, why }): CleanupRow => {
    const { id, name, project: of, status: was, endedAt } = task;
    return { id, name, project: of, status: was, endedAt, done, why, isDry: dryRun };
  });
  call.out.list(CLEANUP_VIEW, rows);
  const gone = rows.filter(({ done }) => done === "archived" || done === "deleted").length;
  const said = verb === "delete" ? "deleted" : "archived";
  if (rows.length > 0) call.out.talk(`${dryRun ? `would be ${said}` : said}: ${count(gone, "task")}; ${rows.length - gone} stay`);
};
