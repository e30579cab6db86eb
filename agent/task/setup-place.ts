import { lstat } from "node:fs/promises";
import type { Claim } from "../../broker/index.js";
import type { AgentConfig } from "../config.js";
import { succeeds } from "../host/succeeds.js";
import type { Engine } from "../runners/engine.js";
import type { Engines } from "../runners/engines.js";
import { hostPlace, type SetupPlace, type SetupProgram } from "../setup/place.js";
import type { Slot } from "../slots.js";
import { setupEnvironment } from "./environment.js";
import type { AttemptFolder } from "./folder.js";
import type { Image } from "./image.js";
import type { Prepared } from "./prepare.js";
import { containerOf } from "./run-spec.js";
import { enginePath, SEEN_INSIDE } from "./seen.js";

/** One that does not end at its time limit waits for something that does not come. */
const MAX_GRACE_MS = 5_000;

/** Where the programs of a task's set-up run, and what the runner is told of each; their output goes into the set-up's log. */
export function setupPlaceOf(config: AgentConfig, claim: Claim, { slot, folder }: { slot: Slot; folder: AttemptFolder }): SetupPlace {
  const { record } = claim;
  return hostPlace((program) => {
    const { env, path, isShared } = program;
    const parts = { config, record, slot, folder, inherited: process.env, prepared: { env, path } };
    return { ...commonOf(config, claim, { program, folder }), env: setupEnvironment(parts, isShared) };
  });
}

/** In the task's own image. What is made stays on the host, and lies inside where it lies there: environments hold their own paths. */
export function containerPlace(
  parts: { config: AgentConfig; slot: Slot; engines: Engines },
  claim: Claim,
  { folder, prepared }: { folder: AttemptFolder; prepared: Prepared & { image: Image } },
): SetupPlace {
  const { config, engines } = parts;
  const { record } = claim;
  const { image } = prepared;
  return {
    identity: `image ${image.id}`,
    find: async (program) => {
      const path = await findInside(await engines.require(), image.id, program);
      return path === undefined ? undefined : { path, identity: program };
    },
    // Its links lead to where they lead in the image.
    isThere: (path) => succeeds(lstat(path)),
    specOf: (program) => {
      const { env, path, isShared } = program;
      const slot = { ...parts.slot, gpus: [] };
      const environment = { config, record, slot, folder: SEEN_INSIDE, inherited: process.env, prepared: { env, path, image } };
      const paths = [folder.work, ...(env.NAVVY_ENV === undefined ? [] : [env.NAVVY_ENV])];
      const container = containerOf(config, claim, { slot, folder, prepared });
      const own = paths.map((source) => ({ source: enginePath(source, config), target: source, readOnly: false }));
      return {
        ...commonOf(config, claim, { program, folder }),
        env: setupEnvironment(environment, isShared),
        container: { ...container, entrypoint: [""], mounts: [...container.mounts, ...own] },
      };
    },
  };
}

function commonOf(config: AgentConfig, { record }: Claim, { program, folder }: { program: SetupProgram; folder: AttemptFolder }) {
  return {
    ...{ argv: program.argv, cwd: program.cwd, stdout: folder.setup, stderr: folder.setup, exitFile: folder.setupExit },
    graceMs: Math.min(record.spec.graceMs, MAX_GRACE_MS),
    onDisconnect: record.onDisconnect ?? ("freeze" as const),
    ...(config.maxPids > 0 ? { maxPids: config.maxPids } : {}),
  };
}

/** An image does not change under its id, so each program is looked for once. */
const found = new Map<string, Promise<string | undefined>>();

function findInside(engine: Engine, image: string, program: string): Promise<string | undefined> {
  const key = `${image} ${program}`;
  const known = found.get(key) ?? look(engine, image, program);
  found.set(key, known);
  known.catch(() => found.delete(key));
  return known;
}

async function look(engine: Engine, image: string, program: string): Promise<string | undefined> {
  const flags = ["run", "--rm", "--pull", "never", "--network", "none", "--entrypoint", "sh"];
  const { ok, stdout } = await engine.run([...flags, image, "-c", 'command -v -- "$1"', "sh", program]);
  return ok ? stdout.trim() || undefined : undefined;
}
