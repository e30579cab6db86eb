import { readPipelineFile } from "../../../controller/file/index.js";
import { checkParameters, type NewGraph } from "../../../controller/graph/index.js";
import { failureText, PipelineRun, runGraphLocally } from "../../../controller/index.js";
import { NavvyError, type ParameterValue } from "../../../protocol/index.js";
import { type Call, connectionOf, type Handler } from "../../call.js";
import { shortId } from "../../output/words.js";
import { codeResolver } from "./code.js";
import { watchRun } from "./watch.js";

interface RunOptions {
  param: string[];
  queue: string;
  cache: boolean;
  local?: boolean;
  detach?: boolean;
  dryRun?: boolean;
}

/** `navvy pipeline run FILE [-p NAME=VALUE]…`: its exit code is the run's. */
export const run: Handler<[string], RunOptions> = async (call, file) => {
  const { options, out } = call;
  const read = await readPipelineFile(file, options.dryRun ? {} : { resolveCode: codeResolver(call) });
  const graph = options.cache ? read : withoutCache(read);
  const parameters = checkParameters(graph, given(options.param));
  if (options.dryRun)
    return void out.show({ kind: "pipeline-graph", name: () => graph.name }, graph, () =>
      JSON.stringify({ ...graph, given: parameters }, null, 2),
    );
  if (options.local) return runLocally(call, graph, parameters);
  const made = await (await PipelineRun.create(await call.navvy(), graph, { parameters })).enqueue(options.queue);
  out.talk(`${graph.name} goes to queue ${options.queue} as ${made.id}   (navvy pipeline watch ${shortId(made.id)})`);
  if (!options.detach) return watchRun(call, made);
  if (out.isData) out.show({ kind: "task", name: ({ id }) => id }, made.record, () => made.id);
  else out.line(made.id);
  return 0;
};

async function runLocally(call: Call<RunOptions>, graph: NewGraph, parameters: Record<string, ParameterValue>): Promise<number> {
  const result = await runGraphLocally(graph, { connection: connectionOf(call.options), parameters });
  if (result.state === "completed") return 0;
  call.out.talk(failureText(graph.name, result));
  return 1;
}

function withoutCache(graph: NewGraph): NewGraph {
  const fresh = <S extends { cache?: "off" | "use" | "refresh" | undefined }>(step: S): S =>
    step.cache === "use" ? { ...step, cache: "refresh" } : step;
  return { ...graph, steps: graph.steps.map(fresh), finally: (graph.finally ?? []).map(fresh) };
}

/** @throws NavvyError invalid_argument: no `=` */
function given(pairs: string[]): Record<string, ParameterValue> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at <= 0)
        throw new NavvyError("invalid_argument", `-p ${pair} names no value`, { fix: `-p ${pair.replace("=", "") || "NAME"}=VALUE` });
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}
