import { z } from "zod";
import { type CloneOverrides, inputRefOf, type NewTask } from "../../../broker/index.js";
import { CLASSES, type InputRef, NavvyError, ParameterValue, type TaskRecord, TaskSpec } from "../../../protocol/index.js";
import { readJson } from "../body.js";
import type { ApiAttempt, Call } from "../call.js";

const Values = z.record(z.string(), ParameterValue);
/** Files of other tasks, by the name that each gets: a task by its id or `project/name`, and its artifact. */
const Inputs = z.record(z.string().min(1), z.strictObject({ task: z.string().min(1), artifact: z.string().min(1) }));
/** Parts of a specification, in the words of a record. Defaults are the broker's to give: a template's values must not be hidden by them. */
const Spec = TaskSpec.omit({ parameters: true, inputs: true }).partial();

export const TaskBody = z.strictObject({
  name: z.string().optional(),
  project: z.string().optional(),
  type: z.string().optional(),
  tags: z.array(z.string()).optional(),
  comment: z.string().optional(),
  key: z.string().min(1).max(256).optional(),
  queue: z.string().min(1).optional(),
  parameters: Values.optional(),
  inputs: Inputs.optional(),
  ...Spec.shape,
});
export const ParametersBody = Values;
export const InputsBody = Inputs;
export const EnqueueBody = z.strictObject({ queue: z.string().min(1), class: z.enum(CLASSES).optional() });
export const AbortBody = z.strictObject({ reason: z.string().max(500).optional(), graceMs: z.number().min(0).optional() });
export const UnparkBody = z.strictObject({ reason: z.string().max(500).default("by another task") });
export const JournalBody = z.strictObject({ value: ParameterValue });
export const WaitBody = z.strictObject({
  tasks: z.array(z.string().min(1)).min(1).max(100),
  for: z.enum(["any", "all"]).default("any"),
  seconds: z.number().min(0).max(60).default(30),
});

/** A request's body as one of these. @throws NavvyError invalid_argument, with the place */
export async function bodyOf<S extends z.ZodType>(call: Call, schema: S): Promise<z.infer<S>> {
  const parsed = schema.safeParse(await readJson(call));
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new NavvyError("invalid_argument", `the request's body: ${[issue?.path.join("."), issue?.message].filter(Boolean).join(": ")}`, {
    fix: "docs/protocol.md has the list of requests",
  });
}

/** What a body says of a task, with the task that asks as its parent; what it leaves out stays as it is by default, or in a template. */
export async function taskOf(
  { navvy, claim }: ApiAttempt,
  body: z.infer<typeof TaskBody>,
  template?: TaskRecord,
): Promise<NewTask & CloneOverrides> {
  const given = Object.entries(body).filter(([name, value]) => value !== undefined && name in Spec.shape && name !== "queue");
  const inputs = body.inputs && { ...template?.spec.inputs, ...(await inputsOf(navvy, body.inputs)) };
  const { name, project, type: taskType, tags, comment, parameters } = body;
  const key = body.key === undefined ? undefined : await keyWithin(navvy, claim.id, body.key);
  const head = Object.fromEntries(
    Object.entries({ project, taskType, tags, comment, key, parameters }).filter(([, value]) => value !== undefined),
  );
  const spec = { ...Object.fromEntries(given), ...(inputs ? { inputs } : {}) };
  return { ...head, name: name ?? template?.name ?? "", parent: claim.id, spec };
}

/** A child's key within its parent, as `navvy/controller` makes it: one that was begun anew has children of its own each time. */
async function keyWithin(navvy: ApiAttempt["navvy"], parent: string, key: string): Promise<string> {
  const round = await navvy.journals.of(parent).round();
  return round > 0 ? `${round}/${key}` : key;
}

/** References to the artifacts that are named. @throws NavvyError not_found */
export async function inputsOf(navvy: ApiAttempt["navvy"], inputs: z.infer<typeof Inputs>): Promise<Record<string, InputRef>> {
  const found: Record<string, InputRef> = {};
  for (const [name, { task, artifact }] of Object.entries(inputs)) {
    const record = await navvy.tasks.get(task);
    found[name] = inputRefOf(navvy.artifacts.find(record, artifact), record.id);
  }
  return found;
}
