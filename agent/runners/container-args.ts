import { NavvyError } from "../../protocol/index.js";
import type { Engine } from "./engine.js";
import type { ContainerRun, Mount, RunSpec } from "./runner.js";

/** Of these the engine's own command line reads the same names: a container's value stands in the arguments instead. */
const READ_BY_ENGINES =
  /^(PATH|HOME|USER|TMPDIR|DOCKER_|CONTAINER|PODMAN_|NERDCTL_|XDG_|REGISTRY_AUTH_FILE|SSH_AUTH_SOCK|HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy)/;

/** A value under such a name can be read by every user of the machine. */
export const isReadByEngines = (name: string) => READ_BY_ENGINES.test(name);

/**
 * The arguments that make a container, and the environment of the command that does. Values of the task's environment go by that
 * environment and not by the arguments, which every user of the machine can read.
 */
export function createCommand(
  engine: Pick<Engine, "name" | "isRootless">,
  name: string,
  { argv, cwd, env, container }: Pick<RunSpec, "argv" | "cwd" | "env"> & { container: ContainerRun },
): { args: string[]; env: Record<string, string> } {
  const { entrypoint = [] } = container;
  const [program, ...more] = entrypoint;
  const [shown, hidden] = splitEnvironment(env);
  const args = [
    "create",
    ...["--name", name, "--pull", "never", "--init", "--security-opt", "no-new-privileges", "--log-driver", "none"],
    ...["--workdir", cwd],
    ...Object.entries(container.labels).flatMap(([label, value]) => ["--label", `${label}=${value}`]),
    ...userArgs(engine, container.user),
    ...container.mounts.flatMap((mount) => ["--mount", mountArg(mount)]),
    ...limitArgs(container),
    ...(container.gpus ? gpuArgs(engine, container.gpus) : []),
    ...Object.entries(shown).flatMap(([key, value]) => ["--env", `${key}=${value}`]),
    ...Object.keys(hidden).flatMap((key) => ["--env", key]),
    ...(program === undefined ? [] : [`--entrypoint=${program}`]),
    ...container.args,
    container.image,
    ...more,
    ...argv,
  ];
  return { args, env: hidden };
}

function splitEnvironment(env: Record<string, string>): [Record<string, string>, Record<string, string>] {
  const entries = Object.entries(env);
  const isRead = ([name]: [string, string]) => READ_BY_ENGINES.test(name);
  return [Object.fromEntries(entries.filter(isRead)), Object.fromEntries(entries.filter((entry) => !isRead(entry)))];
}

/** Rootless engines show their own user as root inside; podman can keep the number. */
function userArgs({ name, isRootless }: Pick<Engine, "name" | "isRootless">, user: string | undefined): string[] {
  if (user === undefined) return [];
  if (!isRootless || user !== self()) return ["--user", user];
  return name === "podman" ? ["--userns", "keep-id", "--user", user] : ["--user", "0:0"];
}

/** The agent's own user and group. */
export function self(): string {
  return `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`;
}

/** A list of fields in which a comma or a quote would begin another one. @throws NavvyError invalid_argument for a line break */
function mountArg({ source, target, readOnly }: Mount): string {
  for (const path of [source, target])
    if (/[\r\n]/.test(path)) throw new NavvyError("invalid_argument", `a mount's path holds a line break: ${JSON.stringify(path)}`);
  const field = (text: string) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const fields = ["type=bind", field(`source=${source}`), field(`target=${target}`), ...(readOnly ? ["readonly"] : [])];
  return fields.join(",");
}

function limitArgs({ network, cpus, memoryBytes, shmBytes, pids }: ContainerRun): string[] {
  return [
    ...(network === undefined ? [] : ["--network", network]),
    ...(cpus === undefined ? [] : ["--cpus", String(cpus)]),
    // Swap counts in: a limit that can be evaded is none.
    ...(memoryBytes === undefined ? [] : ["--memory", String(memoryBytes), "--memory-swap", String(memoryBytes)]),
    ...(shmBytes === undefined ? [] : ["--shm-size", String(shmBytes)]),
    ...(pids === undefined ? [] : ["--pids-limit", String(pids)]),
  ];
}

function gpuArgs({ name }: Pick<Engine, "name">, { vendor, ids }: NonNullable<ContainerRun["gpus"]>): string[] {
  if (vendor === "amd") return ["--device", "/dev/kfd", "--device", "/dev/dri", "--group-add", "video"];
  if (name === "podman") return ids.flatMap((id) => ["--device", `nvidia.com/gpu=${id}`]);
  return ["--gpus", ids.length === 1 ? `device=${ids[0]}` : `"device=${ids.join(",")}"`];
}
