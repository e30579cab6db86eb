import { mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { lastLine, type Ran, run } from "./run.js";

/** Where to work and where to unpack. */
export interface AptOptions {
  /** An empty folder for the package and, when needed, the package lists. */
  work: string;
  /** The folder that gets `nats-server`. */
  into: string;
  env: NodeJS.ProcessEnv;
}

/**
 * Downloads the distribution's package `nats-server` and unpacks it, without root and without installing anything.
 * Answers undefined when done, else one line that says why not.
 *
 * The machine's package lists are tried first; where they are empty or stale, fresh ones from the machine's own
 * sources go into a private folder, which needs no root either.
 */
export async function fetchApt({ work, into, env }: AptOptions): Promise<string | undefined> {
  const own = await ownLists(work);
  const first = await download(work, env, []);
  if (first.code === null) return "apt-get is not on this machine";
  if (first.code !== 0) {
    const update = await apt([...own, "update"], { cwd: work, env });
    if (update.code !== 0) return `apt-get update fails: ${lastLine(update.stderr)}`;
    const second = await download(work, env, own);
    if (second.code !== 0) return `apt-get download nats-server fails: ${lastLine(second.stderr)}`;
  }
  const deb = (await readdir(work)).find((name) => name.endsWith(".deb"));
  if (deb === undefined) return "apt-get download left no package";
  const unpacked = await run("dpkg-deb", ["-x", join(work, deb), join(work, "tree")], { env });
  if (unpacked.code !== 0) return `dpkg-deb -x fails: ${lastLine(unpacked.stderr)}`;
  await mkdir(into, { recursive: true });
  await rename(join(work, "tree", "usr", "sbin", "nats-server"), join(into, "nats-server"));
  return undefined;
}

function download(cwd: string, env: NodeJS.ProcessEnv, options: string[]): Promise<Ran> {
  return apt([...options, "download", "nats-server"], { cwd, env });
}

/** As root apt works under another account, which can not enter a private folder: it must stay the one who calls. */
function apt(args: string[], { cwd, env }: { cwd: string; env: NodeJS.ProcessEnv }): Promise<Ran> {
  return run("apt-get", ["-q", "-o", "APT::Sandbox::User=root", ...args], { cwd, env: { ...env, LC_ALL: "C" }, timeoutMs: 180_000 });
}

/** Options that keep everything apt writes inside the folder. Hooks that clean system folders would fail without root. */
async function ownLists(work: string): Promise<string[]> {
  await mkdir(join(work, "lists", "partial"), { recursive: true });
  await mkdir(join(work, "cache", "archives", "partial"), { recursive: true });
  const settings = [
    `Dir::State::lists=${join(work, "lists")}`,
    `Dir::Cache=${join(work, "cache")}`,
    "Acquire::http::Timeout=15",
    "Acquire::https::Timeout=15",
  ];
  return settings.flatMap((setting) => ["-o", setting]);
}
