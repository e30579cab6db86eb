import { mkdir, readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { isSuccess, type Outcome } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";
import type { Disposable } from "../host/disposable.js";
import type { AttemptSecrets } from "./attempt-secrets.js";
import { type AttemptFolder, removeLater } from "./folder.js";

const DAY_MS = 86_400_000;

/** What became of an attempt whose end is on its record; undefined: it went on without us. */
type End = Outcome | undefined;

/** Whether the attempt's folder outlives it. What goes back to its queue has nothing to show for it. */
export function isKept({ clean }: Pick<AgentConfig, "clean">, outcome: End): boolean {
  if (outcome === undefined || outcome.kind === "given_back" || clean === "always") return false;
  return clean === "never" || !isSuccess(outcome);
}

/** Says to people where it is. */
export function keptNote(config: AgentConfig, key: string): string {
  const days = config.keepDays === 1 ? "1 day" : `${config.keepDays} days`;
  return `its folder is kept on ${hostname()} for ${days} at most: ${keptPath(config, key)}`;
}

/** Removes the folder of an attempt that is over, or moves it aside. In the background: nobody waits for it. */
export async function endFolder(
  config: AgentConfig,
  of: { folder: AttemptFolder; secrets: AttemptSecrets; key: string; outcome: End },
): Promise<void> {
  const { folder, secrets, key, outcome } = of;
  await secrets.remove();
  if (!isKept(config, outcome)) return removeLater(folder, config.log);
  const path = keptPath(config, key);
  try {
    await secrets.cleanFolder();
    await mkdir(keptFolder(config), { recursive: true, mode: 0o700 });
    await rename(folder.root, path);
    await utimes(path, new Date(), new Date());
  } catch (error) {
    config.log.warn({ err: error, folder: folder.root }, "an attempt's folder could not be kept");
    removeLater(folder, config.log);
  }
}

/** Every folder that is kept. */
export async function keptFolders(config: Pick<AgentConfig, "folder">): Promise<Disposable[]> {
  const names = await readdir(keptFolder(config)).catch(() => []);
  const kept = names.map(async (name): Promise<Disposable[]> => {
    const path = join(keptFolder(config), name);
    const found = await stat(path).catch(() => undefined);
    const dispose = () => rm(path, { recursive: true, force: true, maxRetries: 3 });
    return found ? [{ what: `the kept folder of ${name}`, usedAtMs: found.mtimeMs, dispose }] : [];
  });
  return (await Promise.all(kept)).flat();
}

/** Whether its days are over. */
export function isExpired({ keepDays }: Pick<AgentConfig, "keepDays">, { usedAtMs }: Disposable): boolean {
  return Date.now() - usedAtMs > keepDays * DAY_MS;
}

function keptFolder({ folder }: Pick<AgentConfig, "folder">): string {
  return join(folder, "kept");
}

function keptPath(config: AgentConfig, key: string): string {
  return join(keptFolder(config), key);
}
