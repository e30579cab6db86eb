import type { Navvy } from "../../broker/index.js";
import { NavvyError, type Outcome, type ParameterValue, type TaskRecord } from "../../protocol/index.js";
import { askToEnd, followEnding, stopping, waiting } from "../ending.js";
import type { CheckedGraph } from "../graph/check.js";
import { checkParameters } from "../graph/parameters.js";
import { asParkable, parkWhenWaiting } from "../parking.js";
import { patiently } from "../patience.js";
import type { Report } from "../report.js";
import type { StepHooks } from "./context.js";
import { Engine, type RunResult } from "./engine.js";
import { takeTurn } from "./group.js";
import type { OwnProgram } from "./program.js";

/** What is to run as this process's own task. */
export interface Here {
  navvy: Navvy;
  own: { record: TaskRecord; report: Report };
  graph: CheckedGraph;
  program: OwnProgram;
  hooks?: ReadonlyMap<string, StepHooks>;
  onAbort?: "abort" | "leave";
  queue?: string | undefined;
}

/** A run that goes on in this process. */
export interface Going {
  engine: Engine;
  /** Resolves when all is over; rejects when this process is to end before. */
  ended: Promise<RunResult>;
}

/**
 * Runs a graph as this process's own task. An abort by a person ends what runs, unless it is to be left; when the process is only to
 * end here (its agent stops, its machine goes), its tasks run on, and the run goes on elsewhere.
 * @throws NavvyError invalid_argument (parameters), conflict (its group is taken), not_found (a template)
 */
export async function runHere(here: Here): Promise<Going> {
  const { navvy, own, graph } = here;
  const params = checkParameters(graph.graph, (own.record.spec.parameters["General"] ?? {}) as Record<string, ParameterValue>);
  // Whoever waits holds no slot for it: another pipeline that it waits for may need that very one.
  parkWhenWaiting();
  const turn = graph.graph.concurrency ? await takeTurn(navvy, own, graph.graph) : undefined;
  const engine = await Engine.open({ navvy, own, graph, params, program: here.program, hooks: here.hooks ?? new Map(), queue: here.queue });
  const ended = asParkable(engine.activity, async () => {
    try {
      const result = await waiting(() => toEnd(engine, here));
      await turn?.end();
      return result;
    } catch (error) {
      // A process that only has to go keeps its run's turn, and what it runs: the run goes on elsewhere.
      if (!stopping.aborted) {
        await endRunning(engine, here, (error as Error).message);
        await turn?.end();
      }
      engine.close();
      throw error;
    }
  });
  ended.catch(() => undefined); // whoever waits hears of it
  followEnding((outcome) => leaveNothing(engine, here, outcome));
  // It was parked, and is started once more for what comes at the end.
  const { abort } = own.record;
  if (abort) askToEnd(`${abort.by}: ${abort.reason}`);
  return { engine, ended };
}

/** A program that fails in the midst of its run ends what runs: nobody would look at it any more. */
async function leaveNothing(engine: Engine, here: Here, outcome: Outcome): Promise<void> {
  if (outcome.kind === "exited" && outcome.code !== 0) await endRunning(engine, here, outcome.reason);
}

async function endRunning(engine: Engine, { navvy, onAbort }: Here, why?: string): Promise<void> {
  if (onAbort === "leave") return;
  const abort = (id: string) => navvy.tasks.abort(id, { reason: `its controller failed${why ? `: ${why}` : ""}` });
  await Promise.all(engine.awaited.map((id) => abort(id).catch(() => undefined))); // it has ended meanwhile
}

async function toEnd(engine: Engine, here: Here): Promise<RunResult> {
  const over = new AbortController();
  const leaving = new Promise<never>((_resolve, reject) => {
    const onStop = () => void onStopping(engine, here).then((stays) => stays || reject(gone()));
    if (stopping.aborted) onStop();
    else stopping.addEventListener("abort", onStop, { once: true, signal: over.signal });
  });
  const result = await Promise.race([engine.toEnd(), leaving]).finally(() => over.abort());
  for (const [name, value] of Object.entries(result.outputs)) here.own.report.output(name, value);
  if (stopping.aborted) throw gone();
  return result;
}

/** @returns whether the run is to be seen to its end here, with what runs being ended */
async function onStopping(engine: Engine, { navvy, own, onAbort }: Here): Promise<boolean> {
  const reason = (stopping.reason as Error).message;
  const record = await patiently(() => navvy.tasks.get(own.record.id), { patienceMs: 5_000 }).catch(() => undefined);
  const isWished = record?.abort !== undefined || own.record.owner === undefined || record?.owner?.agent.startsWith("local-") === true;
  if (isWished && onAbort !== "leave") {
    engine.stop(record?.abort?.reason ?? reason);
    return true;
  }
  engine.close();
  return false;
}

function gone(): NavvyError {
  return new NavvyError("aborted", "this process was asked to end", { why: (stopping.reason as Error).message });
}
