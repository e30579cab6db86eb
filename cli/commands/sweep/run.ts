import { connectTo, disconnect, Sweep, type SweepOptions } from "../../../controller/index.js";
import type { Call, Handler } from "../../call.js";
import { connectionOf } from "../../call.js";
import { exitCodeOfOutcome } from "../../exit-codes.js";
import { shortId } from "../../output/words.js";
import type { SweepCheckFlags, SweepRunFlags } from "../sweep.js";
import { TASK_VIEW } from "../task/view.js";
import { definitionFrom } from "./definition.js";

/** `navvy sweep run [FILE]` */
export const run: Handler<[string | undefined], SweepRunFlags> = async (call, file) => {
  const sweep = new Sweep(await definitionFrom(file, call.options));
  return connected(call, async () => {
    sayAdded(call, (await sweep.check()).added);
    const task = await sweep.start({ queue: call.options.queue });
    call.out.talk(
      `◌ queued   ${task.name} (${shortId(task.id)}) → ${call.options.queue}      its trials: navvy sweep show ${shortId(task.id)}`,
    );
    if (call.options.wait) await task.wait();
    call.out.show(TASK_VIEW, task.record, () => task.id);
    return call.options.wait ? exitCodeOfOutcome(task.outcome) : 0;
  });
};

/** `navvy sweep check [FILE]` */
export const check: Handler<[string | undefined], SweepCheckFlags> = async (call, file) => {
  const definition: SweepOptions = await definitionFrom(file, call.options);
  const sweep = new Sweep(definition);
  if (!call.options.offline) await connected(call, async () => sayAdded(call, (await sweep.check()).added));
  const { name, method, space } = sweep.config;
  const parameters = space.map(({ path }) => path);
  call.out.show({ kind: "sweep-check", name: () => name }, { name, method, parameters, definition }, () => {
    return `${file ?? name} is fine: ${method} over ${parameters.join(", ")}`;
  });
};

/** Runs with the controllers' connection, which is the one that the global flags say. */
async function connected<T>(call: Call<unknown>, work: () => Promise<T>): Promise<T> {
  await connectTo({ ...connectionOf(call.options), clientName: "navvy cli" });
  try {
    return await work();
  } finally {
    await disconnect();
  }
}

function sayAdded(call: Call<unknown>, added: string[]): void {
  if (added.length > 0) call.out.talk(`the template has no ${added.join(", ")}: its trials get what it does not have`);
}
