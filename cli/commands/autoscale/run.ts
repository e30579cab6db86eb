import { AUTOSCALE_DEFINITION, autoscaleConfigOf, parseAutoscaleFile } from "../../../controller/index.js";
import type { ParameterValue } from "../../../protocol/index.js";
import { NavvyError } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { readDefinition } from "../../definition-file.js";
import { shortId } from "../../output/words.js";
import type { AutoscaleRunFlags } from "../autoscale.js";
import { createTask } from "../task/make.js";
import { TASK_VIEW } from "../task/view.js";

/** `navvy autoscale run FILE` */
export const run: Handler<[string, string[]], AutoscaleRunFlags> = async (call, file, words) => {
  if (words.length > 0 || call.options.shell !== undefined)
    throw new NavvyError("invalid_argument", "an autoscaler has its own command", {
      why: "what starts and stops machines stands in the file",
    });
  const { dryRun, queue, param } = call.options;
  const written = await parseAutoscaleFile(await readDefinition(file), file);
  const definition = { ...written, ...(dryRun ? { dryRun } : {}) } as ParameterValue;
  const { name } = autoscaleConfigOf(definition);
  const options = { name, type: "controller", ...call.options, param: { ...param, [AUTOSCALE_DEFINITION]: definition } };
  const draft = await createTask({ ...call, options, navvy: () => call.navvy() }, ["navvy", "autoscale", "execute"]);
  const task = await (await call.navvy()).tasks.enqueue(draft.id, { queue });
  call.out.talk(`◌ queued   ${task.name} (${shortId(task.id)}) → ${queue}      what it does: navvy logs ${shortId(task.id)} -f`);
  call.out.show(TASK_VIEW, task, () => task.id);
};

/** `navvy autoscale check FILE` */
export const check: Handler<[string]> = async (call, file) => {
  const definition = autoscaleConfigOf(await parseAutoscaleFile(await readDefinition(file), file));
  const { queue, agents, min, max } = definition;
  call.out.show({ kind: "autoscale-check", name: () => definition.name }, definition, () => {
    return `${file} is fine: ${min} to ${max} machines called ${agents}… for queue ${queue}`;
  });
};
