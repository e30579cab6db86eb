import { resolve } from "node:path";
import { type CodeParts, type FileCode, readPipelineFile } from "../../../controller/file/index.js";
import { checkParameters, type NewGraph } from "../../../controller/graph/index.js";
import { failureText, PipelineRun, runGraphLocally, uploadCode } from "../../../controller/index.js";
import { type GitRef, NavvyError, type ParameterValue } from "../../../protocol/index.js";
import { connectionOf, type Call, type Handler } from "../../call.js";
import { shortId } from "../../output/words.js";
import { capture } from "../task/git-spec.js";
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
  const read = await readPipelineFile(file, options.dryRun ? {} : { resolveCode: (code, folder) => codeOf(call, code, folder) });
  const graph = options.cache ? read : withoutCache(read);
  const parameters = checkParameters(graph, given(options.param));
  if (options.dryRun) return void out.show({ kind: "pipeline-graph", name: () => graph.name }, graph, () => JSON.stringify({ ...graph, given: parameters }, null, 2));
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
  const fresh = <S extends { cache?: "off" | "use" | "refresh" | undefined }>(step: S): S => (step.cache === "use" ? { ...step, cache: "refresh" } : step);
  return { ...graph, steps: graph.steps.map(fresh), finally: (graph.finally ?? []).map(fresh) };
}

/** @throws NavvyError invalid_argument: no `=` */
function given(pairs: string[]): Record<string, ParameterValue> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf("=");
      if (at <= 0) throw new NavvyError("invalid_argument", `-p ${pair} names no value`, { fix: `-p ${pair.replace("=", "") || "NAME"}=VALUE` });
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

/** Where steps get their code from: a folder that is packed, a checkout with what was not committed, or a repository. */
async function codeOf(call: Call<unknown>, code: FileCode, folder: string): Promise<CodeParts> {
  if ("dir" in code) return { code: (await uploadCode(await call.navvy(), resolve(folder, code.dir))) as unknown as ParameterValue };
  const { repo, ref, commit, diff, submodules } = code;
  const more = submodules === undefined ? {} : { submodules };
  if (repo !== "." && !repo.startsWith("./") && !repo.startsWith("../") && !repo.startsWith("/")) {
    const git: GitRef = { url: repo, ...(ref === undefined ? {} : { ref }), ...(commit === undefined ? {} : { commit }), ...more };
    return { git: git as unknown as ParameterValue };
  }
  const found = await capture(call, resolve(folder, repo), { withDiff: diff !== "exclude", upload: true });
  return {
    git: { ...found.git, ...more } as unknown as ParameterValue,
    ...(found.directory === "" ? {} : { directory: found.directory }),
  };
}
