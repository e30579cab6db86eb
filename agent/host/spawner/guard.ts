import { spawn } from "node:child_process";
import type { Socket } from "node:net";

/** What a guard ends when its spawner does. */
export interface Guarded {
  /** The folder of the spawner's cgroups, and those of its limits where they are in hierarchies of their own. */
  cgroups?: string;
  limits?: readonly string[];
}

/** Label of every container: the process number of the spawner that holds it. */
export const SPAWNER_LABEL = "navvy.spawner";

/**
 * Kills what a spawner ran when it ends, however that comes about. With the agent gone too nobody else would, and what it ran
 * would run on without a lease. A shell that waits for the end of a pipe that only the spawner holds open; each line on it is the
 * engine of a container that was started.
 *
 * To be made before the spawner moves into a cgroup of its own: a guard must not be in what it guards.
 */
export class Guard {
  readonly #pipe: Socket | null;
  #engine = "";

  constructor({ cgroups = "", limits = [] }: Guarded) {
    const child = spawn("/bin/sh", ["-c", SCRIPT, "navvy-guard", cgroups, `${SPAWNER_LABEL}=${process.pid}`, ...limits], {
      stdio: ["pipe", "ignore", "ignore"],
      detached: true,
      cwd: "/",
    });
    child.on("error", () => {}); // no shell here: then our agent is the only one who sees to it
    child.stdin?.on("error", () => {});
    this.#pipe = child.stdin as Socket | null;
    this.#pipe?.unref();
    child.unref();
  }

  /** From now on containers of that engine are its to end too. */
  watch(engine: string): void {
    if (engine === this.#engine) return;
    this.#engine = engine;
    this.#pipe?.write(`${engine}\n`);
  }
}

/** Containers first: they do not die with the commands that are attached to them. */
const SCRIPT = `
engine=
while read -r line; do engine=$line; done
[ -z "$1" ] || echo 1 > "$1/cgroup.kill"
if [ -n "$engine" ]; then
  for i in 1 2 3 4 5 6 7 8 9 10; do
    ids=$("$engine" ps --all --quiet --filter "label=$2") && [ -z "$ids" ] && break
    [ -z "$ids" ] || "$engine" rm --force --volumes $ids
    sleep 0.2
  done
fi
folder=$1
[ -z "$folder" ] && exit
shift 2
for i in 1 2 3 4 5; do
  sleep 0.1
  for each in "$folder" "$@"; do [ ! -d "$each" ] || rmdir "$each"/*/ "$each"; done
done
`;
