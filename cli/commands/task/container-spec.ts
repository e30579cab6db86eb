import { Container, NavvyError, type TaskSpec } from "../../../protocol/index.js";
import type { ContainerOptions } from "../task-flags/container.js";

/** The container that the flags ask for, over that of `before`. @throws NavvyError invalid_argument for flags without an image */
export function containerSpecOf(options: ContainerOptions, before?: TaskSpec): Pick<TaskSpec, "container"> | undefined {
  const { image, pull, runAs, entrypoint, network, shm, pids, mount, dockerArg } = options;
  const said = {
    ...(image === undefined ? {} : { image }),
    ...(pull === undefined ? {} : { pull }),
    ...(runAs === undefined ? {} : { user: runAs }),
    ...(entrypoint === undefined ? {} : { entrypoint: [entrypoint] }),
    ...(network === undefined ? {} : { network }),
    ...(shm === undefined ? {} : { shmBytes: shm }),
    ...(pids === undefined ? {} : { pids }),
    ...(mount === undefined ? {} : { mounts: mount }),
    ...(dockerArg === undefined ? {} : { args: dockerArg }),
  };
  if (Object.keys(said).length === 0) return undefined;
  if (image === undefined && before?.container === undefined)
    throw new NavvyError("invalid_argument", `--${flagOf(options)} is about a container, and no image was given`, { fix: "--image IMAGE" });
  return { container: Container.parse({ ...before?.container, ...said }) };
}

function flagOf(options: ContainerOptions): string {
  const flags = ["pull", "entrypoint", "network", "shm", "pids", "mount"] as const;
  return flags.find((flag) => options[flag] !== undefined) ?? (options.runAs === undefined ? "docker-arg" : "run-as");
}
