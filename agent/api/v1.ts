import { NavvyError } from "../../protocol/index.js";
import { parseReportLine } from "../task/report-line.js";
import { putArtifact, sendArtifact } from "./artifacts.js";
import { readBody, readJson } from "./body.js";
import { type Act, type Call, type Route, sendJson } from "./call.js";
import { SafeFolder } from "./safe-folder.js";
import { sendStream, upTo } from "./stream.js";

const MAX_LINE_BYTES = 1024 * 1024;
const MAX_REJECTED = 100;
const YIELD_EVERY = 500;
const MAX_WAIT_SECONDS = 60;

/** JSON lines as in `$NAVVY_EVENTS`; what can not be read is told line by line, and the rest is taken. */
const postEvents: Act = async (call) => {
  const lines = (await readBody(call)).toString("utf8").split("\n");
  const accepted: string[] = [];
  const rejected: { line: number; error: string }[] = [];
  for (const [i, line] of lines.entries()) {
    if (line.trim() === "") continue;
    const problem = problemOf(line);
    if (problem === undefined) accepted.push(line.trim());
    else if (rejected.length < MAX_REJECTED) rejected.push({ line: i + 1, error: problem });
    if (i % YIELD_EVERY === 0) await new Promise((resolve) => setImmediate(resolve)); // the agent has other things to do
  }
  await call.attempt.events.append(accepted);
  const answer = { accepted: accepted.length, rejected };
  if (accepted.length > 0 || rejected.length === 0) return answer;
  const error = { code: "invalid_argument", message: `line ${rejected[0]?.line}: ${rejected[0]?.error}` };
  sendJson(call.response, 400, { ...answer, error });
  return undefined;
};

function problemOf(line: string): string | undefined {
  if (Buffer.byteLength(line) > MAX_LINE_BYTES) return "a line of more than 1 MiB";
  const read = parseReportLine(line);
  return "problem" in read ? read.problem : undefined;
}

/** Not its environment: what may be a secret stays out of what is easily printed. */
const getTask: Act = ({ attempt: { claim, agent } }) => {
  const { id, name, project, taskType, tags, parent, clonedFrom, createdAt, createdBy, queue, spec } = claim.record;
  const { command, resources, timeLimitMs, graceMs } = spec;
  const inputs = Object.keys(spec.inputs);
  const told = { id, name, project, taskType, tags, parent, clonedFrom, createdAt, createdBy, queue, attempt: claim.attempt, agent };
  return Promise.resolve({ ...told, command, resources, timeLimitMs, graceMs, inputs });
};

const getParams: Act = ({ attempt }) => Promise.resolve(attempt.claim.record.spec.parameters);

const getInputs: Act = ({ attempt }) =>
  Promise.resolve({ inputs: Object.entries(attempt.claim.record.spec.inputs).map(([name, input]) => ({ name, ...input })) });

/** Of one that is a folder, a file by its path behind the input's name. */
const getInput: Act = async ({ attempt, response }, { name = "" }) => {
  const { inputs } = attempt.claim.record.spec;
  if (!Object.hasOwn(inputs, name.split("/")[0] ?? ""))
    throw new NavvyError("not_found", `task ${attempt.claim.id} has no input ${JSON.stringify(name)}`, {
      why: Object.keys(inputs).length > 0 ? `it has: ${Object.keys(inputs).join(", ")}` : "it has none",
    });
  const { handle, sizeBytes } = await new SafeFolder(attempt.folder.inputs, attempt.folder.root).open(name);
  await sendStream(response, handle.createReadStream(upTo(sizeBytes)), { sizeBytes });
  return undefined;
};

/** `wait`: seconds to wait for a wish where there is none yet. */
const getControl: Act = async ({ attempt, query, request, limits, signal }) => {
  const seconds = Number(query.get("wait") ?? 0);
  if (!(seconds >= 0 && seconds <= MAX_WAIT_SECONDS))
    throw new NavvyError("invalid_argument", `wait is ${query.get("wait")}; it is a number of seconds from 0 to ${MAX_WAIT_SECONDS}`);
  request.socket.setTimeout(seconds * 1000 + limits.idleMs);
  const wish = await attempt.control.wait(seconds * 1000, signal);
  return { abort: wish ?? null };
};

const postProgress: Act = async (call) => {
  const { n, of, unit } = await readJson(call);
  return appendOne(call, { t: "progress", n, of, unit }, '{"n": 3, "of": 10, "unit": "epoch"}');
};

/** Takes effect when the process exits with 0. */
const postPark: Act = async (call) => {
  const { on, all, until, keys, tidies } = await readJson(call);
  return appendOne(
    call,
    { t: "park", on, all, until, keys, tidies },
    '{"on": ["<task id>"]}, {"until": "2026-01-31T12:00:00Z"} or {"keys": true}',
  );
};

async function appendOne({ attempt }: Call, event: object, fix: string): Promise<object> {
  const line = JSON.stringify(event);
  const problem = problemOf(line);
  if (problem !== undefined) throw new NavvyError("invalid_argument", problem, { fix });
  await attempt.events.append([line]);
  return {};
}

/** The API's first version (docs/protocol.md has the table). */
export const V1: readonly Route[] = [
  { method: "POST", path: "v1/events", act: postEvents },
  { method: "POST", path: "v1/progress", act: postProgress },
  { method: "POST", path: "v1/park", act: postPark },
  { method: "GET", path: "v1/task", act: getTask },
  { method: "GET", path: "v1/params", act: getParams },
  { method: "GET", path: "v1/inputs", act: getInputs },
  { method: "GET", path: "v1/inputs/*name", act: getInput },
  { method: "GET", path: "v1/control", act: getControl },
  { method: "PUT", path: "v1/artifacts/*name", act: putArtifact },
  { method: "GET", path: "v1/artifacts/:task/*name", act: sendArtifact },
];
