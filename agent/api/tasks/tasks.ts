import type { TaskFilter } from "../../../broker/index.js";
import { isNavvyError, NavvyError, parseCondition, STATUSES, type TaskRecord, type TaskStatus } from "../../../protocol/index.js";
import type { Act, Call, Route } from "../call.js";
import {
  AbortBody,
  bodyOf,
  EnqueueBody,
  InputsBody,
  inputsOf,
  JournalBody,
  ParametersBody,
  TaskBody,
  taskOf,
  UnparkBody,
} from "./bodies.js";
import { plain } from "./plain.js";
import { postWait } from "./wait.js";

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
/** As `step()` of `navvy/controller` names them, apart from what navvy itself notes. */
const STEPS = "user:";

const create: Act = async (call) => {
  const { navvy } = call.attempt;
  const body = await bodyOf(call, TaskBody);
  const task = await taskOf(call.attempt, body);
  return plain(body.queue === undefined ? await navvy.tasks.create(task) : await navvy.tasks.submit(task, { queue: body.queue }));
};

const clone: Act = async (call, { task = "" }) => {
  const { navvy } = call.attempt;
  const body = await bodyOf(call, TaskBody);
  const template = await find(call, task);
  const change = await taskOf(call.attempt, body, template);
  if (body.queue === undefined) return plain(await navvy.tasks.clone(template.id, change));
  return plain(await navvy.tasks.submit(change, { queue: body.queue, template }));
};

const get: Act = async (call, { task = "" }) => plain(await find(call, task));

const list: Act = async ({ attempt, query }) => {
  const all = (name: string) => query.getAll(name);
  const one = (name: string) => query.get(name) ?? undefined;
  const parent = one("parent") === "self" ? attempt.claim.id : one("parent");
  const filter = {
    ...{ name: one("name"), project: one("project"), queue: one("queue"), taskType: one("type"), where: one("where"), parent },
    ...(all("tag").length > 0 ? { tags: all("tag") } : {}),
    ...(all("status").length > 0 ? { status: all("status").map(statusOf) } : {}),
    limit: limitOf(one("limit")),
  };
  const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)) as TaskFilter;
  return { tasks: plain(await attempt.navvy.tasks.list(given)) };
};

const setParameters: Act = async (call, { task = "" }) => {
  const values = await bodyOf(call, ParametersBody);
  return change(call, task, ({ id }) => call.attempt.navvy.tasks.setParameters(id, values));
};

const setInputs: Act = async (call, { task = "" }) => {
  const { navvy } = call.attempt;
  const inputs = await inputsOf(navvy, await bodyOf(call, InputsBody));
  const edit = (draft: TaskRecord) => ({ ...draft, spec: { ...draft.spec, inputs: { ...draft.spec.inputs, ...inputs } } });
  return change(call, task, ({ id }) => navvy.tasks.edit(id, edit, `set input ${Object.keys(inputs).join(", ")}`));
};

const enqueue: Act = async (call, { task = "" }) => {
  const { queue, class: name } = await bodyOf(call, EnqueueBody);
  return change(call, task, ({ id }) => call.attempt.navvy.tasks.enqueue(id, { queue, ...(name ? { class: name } : {}) }));
};

const abort: Act = async (call, { task = "" }) => {
  const { reason = "aborted by its controller", graceMs } = await bodyOf(call, AbortBody);
  const { id } = await find(call, task);
  const asked = await call.attempt.navvy.tasks.abort(id, { reason, ...(graceMs === undefined ? {} : { graceMs }) });
  return { ...plain(asked.task), progress: asked.progress };
};

const unpark: Act = async (call, { task = "" }) => {
  const { reason } = await bodyOf(call, UnparkBody);
  return { woken: await call.attempt.navvy.tasks.unpark((await find(call, task)).id, reason) };
};

/** The points of one metric; without a `key` the figures of all. */
const metrics: Act = async (call, { task = "" }) => {
  const record = await find(call, task);
  const key = call.query.get("key");
  if (key !== null) return { points: plain(await call.attempt.navvy.metrics.series(record, key)) };
  return { metrics: plain(record.reported.metrics), omitted: record.reported.metricsOmitted };
};

const meets: Act = async (call, { task = "" }) => {
  const condition = call.query.get("condition");
  if (!condition) throw new NavvyError("invalid_argument", "there is no condition to look at", { fix: "?condition=val/acc.max > 0.9" });
  return { meets: parseCondition(condition).meets(await find(call, task)) };
};

const getStep: Act = async ({ attempt }, { key = "" }) => {
  const noted = await attempt.navvy.journals.of(attempt.claim.id).get(`${STEPS}${key}`);
  if (noted) return { ...noted, key };
  throw new NavvyError("not_found", `task ${attempt.claim.id} has noted nothing under ${JSON.stringify(key)}`);
};

/** The first that is noted under a key counts, and is what comes back. */
const putStep: Act = async (call, { key = "" }) => {
  const { value } = await bodyOf(call, JournalBody);
  return { ...(await call.attempt.navvy.journals.of(call.attempt.claim.id).put(`${STEPS}${key}`, value)), key };
};

/**
 * A change of a draft. `?keyed`: it was made with a key, so that it may be on its way already, made by an earlier attempt of whoever
 * asks; then it stays as it is.
 */
async function change(call: Call, reference: string, act: (task: TaskRecord) => Promise<TaskRecord>): Promise<TaskRecord> {
  const found = await find(call, reference);
  try {
    return plain(await act(found));
  } catch (error) {
    const isOnItsWay = isNavvyError(error, "not_draft") || isNavvyError(error, "illegal_move");
    if (!isOnItsWay || !call.query.has("keyed")) throw error;
    return plain(await find(call, found.id));
  }
}

/** By id, by a suffix of it, by name or `project/name`; `self` is who asks. */
const find = ({ attempt }: Call, reference: string) => attempt.navvy.tasks.get(reference === "self" ? attempt.claim.id : reference);

function statusOf(text: string): TaskStatus {
  const known = STATUSES.find((each) => each === text);
  if (known) return known;
  throw new NavvyError("invalid_argument", `status ${JSON.stringify(text)} is not known`, { why: `known: ${STATUSES.join(", ")}` });
}

function limitOf(text: string | undefined): number {
  const limit = Number(text ?? DEFAULT_LIMIT);
  if (Number.isInteger(limit) && limit > 0 && limit <= MAX_LIMIT) return limit;
  throw new NavvyError("invalid_argument", `limit is ${text}; it is a whole number from 1 to ${MAX_LIMIT}`);
}

/** Only for controllers: what runs in a service slot of an agent that allows it. */
function controllers(act: Act): Act {
  return (call, names) => {
    if (call.attempt.isController) return act(call, names);
    throw new NavvyError("permission_denied", `task ${call.attempt.claim.id} may not drive other tasks`, {
      why: "only a task in a service slot may, of an agent that allows controllers",
      fix: "send it to the services queue of such an agent: navvy task enqueue TASK -q services",
    });
  };
}

const ROUTES: readonly Route[] = [
  { method: "POST", path: "v1/tasks", act: create },
  { method: "GET", path: "v1/tasks", act: list },
  { method: "GET", path: "v1/tasks/:task", act: get },
  { method: "POST", path: "v1/tasks/:task/clone", act: clone },
  { method: "POST", path: "v1/tasks/:task/parameters", act: setParameters },
  { method: "POST", path: "v1/tasks/:task/inputs", act: setInputs },
  { method: "POST", path: "v1/tasks/:task/enqueue", act: enqueue },
  { method: "POST", path: "v1/tasks/:task/abort", act: abort },
  { method: "POST", path: "v1/tasks/:task/unpark", act: unpark },
  { method: "GET", path: "v1/tasks/:task/metrics", act: metrics },
  { method: "GET", path: "v1/tasks/:task/meets", act: meets },
  { method: "POST", path: "v1/wait", act: postWait },
  { method: "GET", path: "v1/journal/*key", act: getStep },
  { method: "PUT", path: "v1/journal/*key", act: putStep },
];

/** What drives other tasks (docs/protocol.md has the table). */
export const TASKS: readonly Route[] = ROUTES.map((route) => ({ ...route, act: controllers(route.act) }));
