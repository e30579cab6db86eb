import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { importBase, requirePrograms } from "./docker.js";

/** Podman with a store of a test file's own. */
export interface Podman extends AsyncDisposable {
  readonly env: Record<string, string>;
  /** Names of all containers. */
  containers(): Promise<string[]>;
}

const INSTALL = "apt-get install --no-install-recommends podman catatonit runc busybox-static";

/** Needs root, and the packages that its error names. */
export async function startPodman(): Promise<Podman> {
  requirePrograms(["podman", "catatonit", "runc", "busybox"], INSTALL);
  const folder = await mkdtemp(join(tmpdir(), "navvy-podman-"));
  const of = (name: string) => join(folder, name);
  await mkdir(of("tmp"));
  await writeFile(of("storage.conf"), `[storage]\ndriver = "overlay"\ngraphroot = "${of("graph")}"\nrunroot = "${of("run")}"\n`);
  // Limits that are raised need a right that not every sandbox has; the engine's defaults would raise them.
  const containers = ['default_ulimits = ["nofile=1000:1000", "nproc=4000:4000"]', 'netns = "none"', 'init_path = "/usr/bin/catatonit"'];
  const engine = ['cgroup_manager = "cgroupfs"', 'events_logger = "none"', 'runtime = "runc"', `tmp_dir = "${of("tmp")}"`];
  await writeFile(of("containers.conf"), ["[containers]", ...containers, "[engine]", ...engine, ""].join("\n"));
  const env = { CONTAINERS_STORAGE_CONF: of("storage.conf"), CONTAINERS_CONF: of("containers.conf"), NAVVY_RUNTIME: "podman" };
  const podman = (...args: string[]) => execa("podman", args, { env });
  await importBase(folder, { engine: "podman", env: { ...process.env, ...env } });
  return {
    env,
    containers: async () => (await podman("ps", "--all", "--format", "{{.Names}}")).stdout.split("\n").filter(Boolean),
    async [Symbol.asyncDispose]() {
      await podman("rm", "--all", "--force").catch(() => undefined);
      await podman("system", "reset", "--force").catch(() => undefined);
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
