import { realpath } from "node:fs/promises";
import { isAbsolute, sep } from "node:path";
import { type Container, NavvyError } from "../../protocol/index.js";
import type { Mount } from "../runners/runner.js";

/** What the owner of an agent allows tasks to ask of their containers, and what goes to every one of them. */
export interface ContainerRules {
  /** Arguments for the engine's `create` that every container gets. */
  args: readonly string[];
  /** Arguments that a task may give: `--cap-add=SYS_PTRACE`, `--ulimit` (with any value), with `*` for anything. */
  allowArgs: readonly string[];
  /** Folders of the host that a task may mount, with all below them. */
  allowMounts: readonly { path: string; readOnly: boolean }[];
  /** Networks beside `none` and `bridge` that a task may join. */
  allowNetworks: readonly string[];
}

export const NO_RULES: ContainerRules = { args: [], allowArgs: [], allowMounts: [], allowNetworks: [] };

/** They keep a container by itself. */
const HARMLESS_NETWORKS = ["none", "bridge"];

/**
 * Refuses what the agent's owner has not allowed, by its name. What is mounted is what the path means now: a link that is turned
 * elsewhere later changes nothing.
 * @returns the mounts with their real paths
 * @throws NavvyError setup_failed
 */
export async function checkContainer({ args, mounts, network }: Container, rules: ContainerRules): Promise<Mount[]> {
  for (const arg of args) checkArg(arg, rules.allowArgs);
  if (network !== undefined && ![...HARMLESS_NETWORKS, ...rules.allowNetworks].some((allowed) => matches(network, allowed)))
    throw refused(`network ${network}`, `--allow-network ${network}`);
  return Promise.all(mounts.map((mount) => checkMount(mount, rules.allowMounts)));
}

function checkArg(arg: string, allowed: readonly string[]): void {
  // A value of its own would be taken for the image, or hide what it belongs to.
  if (!/^--[a-z]/.test(arg))
    throw new NavvyError("setup_failed", `argument ${JSON.stringify(arg)} for the container engine is not acceptable`, {
      fix: "write it long and with its value: --docker-arg=--ulimit=nofile=1024",
    });
  const [name = ""] = arg.split("=");
  if (allowed.some((pattern) => matches(arg, pattern) || name === pattern)) return;
  throw refused(`argument ${name}`, `--allow-container-arg=${name}`);
}

async function checkMount({ source, target, readOnly }: Mount, allowed: ContainerRules["allowMounts"]): Promise<Mount> {
  if (!isAbsolute(source) || !isAbsolute(target))
    throw new NavvyError("setup_failed", `mount ${source}:${target} needs full paths`, { fix: "--mount /SOURCE:/TARGET" });
  const real = await realpath(source).catch(() => undefined);
  const reach = await Promise.all(allowed.map(async (each) => ({ ...each, path: await realpath(each.path).catch(() => each.path) })));
  const within = reach.filter(({ path }) => real !== undefined && (real === path || path === sep || real.startsWith(`${path}${sep}`)));
  // Before its owner allows it, a task does not even learn what there is.
  if (within.length === 0) throw refused(`mount of ${source}`, `--allow-mount ${source}`);
  if (real === undefined) throw new NavvyError("setup_failed", `mount source ${source} is not on this machine`);
  if (!readOnly && within.every((each) => each.readOnly)) throw refused(`mount of ${source} to be written`, `--allow-mount ${source}:rw`);
  return { source: real, target, readOnly };
}

function refused(what: string, flag: string): NavvyError {
  return new NavvyError("setup_failed", `${what} is not allowed on this agent`, {
    why: "a task can reach the host only as far as the agent's owner says",
    fix: `leave it out, or start the agent with ${flag}`,
  });
}

/** `*` stands for anything. */
function matches(text: string, pattern: string): boolean {
  const source = pattern
    .split("*")
    .map((part) => part.replace(/[.+?^${}()|[\]\\]/g, "\\$&"))
    .join(".*");
  return new RegExp(`^${source}$`, "s").test(text);
}
