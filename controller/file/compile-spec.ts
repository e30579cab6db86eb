import type { ParameterValue, SecretUse } from "../../protocol/index.js";
import { durationMs, sizeBytes } from "./quantities.js";
import type { FileSettings } from "./schema.js";

type Spec = Record<string, ParameterValue>;
/** Says that something is wrong with a key of the step. */
export type Wrong = (key: string[], message: string, fix?: string) => void;

/** Settings of a step as parts of a `TaskSpec`: only what was said. */
export function specOf(settings: FileSettings, wrong: Wrong): Spec {
  const { dir, params_as, grace, log_limit, artifact_store, on_disconnect } = settings;
  return said({
    resources: whole(resourcesOf(settings, wrong)),
    container: whole(containerOf(settings, wrong)),
    setup: whole(setupOf(settings, wrong)),
    directory: dir,
    parametersAs: params_as,
    graceMs: times(grace),
    logLimitBytes: sizes(log_limit),
    artifactStore: artifact_store,
    onDisconnect: on_disconnect,
    ...environmentOf(settings, wrong),
  });
}

/** Without what is undefined. */
export function said<T>(of: Record<string, T | undefined>): Record<string, T> {
  return Object.fromEntries(Object.entries(of).filter((pair): pair is [string, T] => pair[1] !== undefined));
}

export const times = (given: string | number | undefined) => (given === undefined ? undefined : durationMs(given));
const sizes = (given: string | number | undefined) => (given === undefined ? undefined : sizeBytes(given));
const whole = (of: Spec): Spec | undefined => (Object.keys(of).length === 0 ? undefined : of);
export const listed = (given: string | string[] | undefined) => (typeof given === "string" ? [given] : given);

function resourcesOf({ gpus, gpu_mem, gpu_model, cpus, mem, disk, labels }: FileSettings, wrong: Wrong): Spec {
  for (const [key, value] of [
    ["gpu_mem", gpu_mem],
    ["gpu_model", gpu_model],
  ] as const)
    if (value !== undefined && (gpus === undefined || gpus === 0)) wrong([key], `${key} is about a GPU, and none was asked for`, "gpus: 1");
  return said({
    gpus,
    gpuMemoryBytes: sizes(gpu_mem),
    gpuModel: gpu_model,
    cpus,
    memoryBytes: sizes(mem),
    diskBytes: sizes(disk),
    labels: labels && Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, String(value)])),
  });
}

function containerOf(settings: FileSettings, wrong: Wrong): Spec {
  const { image, pull, run_as, entrypoint, network, shm, pids, mounts, docker_args } = settings;
  const more = { pull, run_as, entrypoint, network, shm, pids, mounts, docker_args };
  const alone = Object.entries(more).find(([, value]) => value !== undefined)?.[0];
  if (image === undefined) {
    if (alone !== undefined) wrong([alone], `${alone} is about a container, and there is no image`, "image: python:3.12-slim");
    return {};
  }
  return said<ParameterValue>({
    image,
    pull,
    user: run_as,
    entrypoint: listed(entrypoint),
    network,
    shmBytes: sizes(shm),
    pids,
    mounts: mounts?.map((mount) => {
      const [source = "", target = "", mode] = mount.split(":");
      return { source, target, readOnly: mode !== "rw" };
    }),
    args: docker_args,
  });
}

function setupOf({ setup, setup_files, setup_timeout, python, requirements, node }: FileSettings, wrong: Wrong): Spec {
  const isPython = (python !== undefined && python !== false) || requirements !== undefined;
  if (isPython && node)
    wrong(["node"], "a set-up makes either a Python environment or node_modules", "npm ci in a setup command of its own");
  const kind = isPython ? "python" : node ? "node" : undefined;
  if (kind === undefined && setup === undefined) {
    const alone = setup_files ? "setup_files" : setup_timeout === undefined ? undefined : "setup_timeout";
    if (alone) wrong([alone], `${alone} is about a set-up, and there is none`, "setup: make deps");
    return {};
  }
  const files = [...(listed(requirements) ?? []), ...(setup_files ?? [])];
  return said<ParameterValue>({
    kind,
    commands: listed(setup),
    files: files.length === 0 ? undefined : files,
    interpreter: typeof python === "string" ? python : undefined,
    timeLimitMs: times(setup_timeout),
  });
}

const SECRET = /^\$\{\s*secrets\.([\w-]+)\s*\}$/;

/** A variable that is a secret and nothing else is one: its value is put there by the agent and stands in no record. */
function environmentOf({ env = {}, secrets }: FileSettings, wrong: Wrong): { env?: Spec | undefined; secrets?: Spec | undefined } {
  const values: Record<string, string> = {};
  const uses: Record<string, SecretUse> = usesOf(secrets);
  for (const [name, value] of Object.entries(env)) {
    const secret = SECRET.exec(String(value))?.[1];
    if (secret !== undefined) uses[name] = { secret, as: "env" };
    else if (/\$\{\s*secrets\./.test(String(value)))
      wrong(["env", name], "a secret is the whole value of a variable: its value is put there by the agent", `${name}: "\${secrets.NAME}"`);
    else values[name] = String(value);
  }
  return { env: whole(values), secrets: whole(uses) };
}

function usesOf(secrets: FileSettings["secrets"]): Record<string, SecretUse> {
  if (secrets === undefined) return {};
  if (Array.isArray(secrets)) return Object.fromEntries(secrets.map((name) => [name, { secret: name, as: "env" as const }]));
  return Object.fromEntries(
    Object.entries(secrets).map(([name, use]) => [
      name,
      typeof use === "string" ? { secret: use, as: "env" as const } : { secret: use.secret ?? name, as: use.as ?? ("env" as const) },
    ]),
  );
}

/** What several places say, the later ones over the earlier; maps are joined. */
export function joined(...all: (FileSettings | undefined)[]): FileSettings {
  const settings: FileSettings = Object.assign({}, ...all);
  for (const key of ["env", "labels"] as const) {
    const parts = all.flatMap((each) => (each?.[key] ? [each[key]] : []));
    if (parts.length > 0) settings[key] = Object.assign({}, ...parts);
  }
  const secrets = all.flatMap((each) => (each?.secrets ? [usesOf(each.secrets)] : []));
  if (secrets.length > 0) settings.secrets = Object.assign({}, ...secrets);
  return settings;
}
