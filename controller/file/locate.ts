/** Parts of a step's graph as they are called in a file. */
const NAMES: [graph: string[], file: string[]][] = [
  [["action", "script"], ["run"]],
  [["action", "task"], ["task"]],
  [["action", "with"], ["with"]],
  [["action", "spec"], []],
  [["action"], ["run"]],
  [["overrides"], []],
  [["parents"], ["needs"]],
  [["parameters"], ["params"]],
  [["maxParallel"], ["max_parallel"]],
  [["earlyStop"], ["early_stop"]],
  [["timeLimitMs"], ["timeout"]],
  [["waitLimitMs"], ["wait_timeout"]],
];

/** Parts of a specification as they are called in a file. */
const SPEC_NAMES: [spec: string[], file: string[]][] = [
  [["command"], ["run"]],
  [["resources", "gpuMemoryBytes"], ["gpu_mem"]],
  [["resources", "gpuModel"], ["gpu_model"]],
  [["resources", "memoryBytes"], ["mem"]],
  [["resources", "diskBytes"], ["disk"]],
  [["resources"], []],
  [["container", "user"], ["run_as"]],
  [["container", "args"], ["docker_args"]],
  [["container", "shmBytes"], ["shm"]],
  [["container"], []],
  [["setup", "commands"], ["setup"]],
  [["setup", "files"], ["setup_files"]],
  [["setup", "interpreter"], ["python"]],
  [["setup", "timeLimitMs"], ["setup_timeout"]],
  [["directory"], ["dir"]],
  [["artifactStore"], ["artifact_store"]],
  [["parametersAs"], ["params_as"]],
];

/** The path in a file for a path in its graph, as far as it can be told: `steps.train.parameters.General/lr` is `steps.train.params.lr`. */
export function filePathOf(at: readonly string[], has: (path: string[]) => boolean): string[] {
  const [list, name, ...rest] = at;
  if (list === "parameters") return ["params", ...at.slice(1)];
  if ((list !== "steps" && list !== "finally") || name === undefined) return [...at];
  const inSpec = rest[0] === "overrides" || (rest[0] === "action" && rest[1] === "spec");
  const inStep = renamed(rest, NAMES);
  const own = inSpec ? renamed(inStep, SPEC_NAMES) : inStep;
  const [key, parameter] = own;
  const path = [
    list,
    name,
    ...(key === "params" && parameter?.startsWith("General/") ? ["params", parameter.slice("General/".length), ...own.slice(2)] : own),
  ];
  if (own.length === 1 && key === "name") return [list, name];
  if (has(path) || own.length === 0) return has(path) ? path : [list, name];
  const around = [["defaults", ...own], own].find((each) => (inSpec || own[0] === "code" || own[0] === "queue") && has(each));
  return around ?? path;
}

function renamed(path: string[], names: [string[], string[]][]): string[] {
  const found = names.find(([from]) => from.every((part, index) => path[index] === part));
  return found ? [...found[1], ...path.slice(found[0].length)] : path;
}
