import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { NavvyError } from "../../protocol/index.js";
import { cachedPaths, defaultCacheDir, keep, stagingFolder } from "./cache.js";
import { fetchApt } from "./fetch-apt.js";
import { fetchRelease, PINNED } from "./fetch-release.js";
import { compareVersions, OLDEST, versionOf } from "./version.js";

/** Folders looked at beside PATH: Debian puts the server into one that an ordinary user's PATH lacks. */
const BESIDE_PATH = ["/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/opt/homebrew/bin"];

/** How to look for a server. */
export interface FindServerOptions {
  /** Where fetched servers are kept. Default: see `defaultCacheDir`. */
  cacheDir?: string;
  /** Default: this process's. `NAVVY_NATS_SERVER`, `NAVVY_CACHE`, `NAVVY_OFFLINE=1`, `NAVVY_NATS_RELEASES` (a mirror), `PATH`. */
  env?: NodeJS.ProcessEnv;
  /** Gets one line about what was found or fetched. */
  say?: (line: string) => void;
  /** Only this version: `2.10.27`, or `2.10` for any of that line. Default: any that is new enough. */
  version?: string;
  /** Folders looked at beside PATH. Default: where packages put the server. */
  places?: string[];
}

/** A nats-server that runs on this machine. */
export interface FoundServer {
  path: string;
  version: string;
  /** Where it came from, for messages: `PATH`, `NAVVY_NATS_SERVER`, `the cache`, `its releases, downloaded into …`. */
  from: string;
}

interface Search {
  cacheDir: string;
  env: NodeJS.ProcessEnv;
  places: string[];
  version: string | undefined;
  /** One line for each way that led nowhere. */
  tried: string[];
}

/**
 * Finds a nats-server: the one named by `NAVVY_NATS_SERVER`, else one on PATH, else a cached one, else a fetched one.
 * Throws `setup_failed` with every way that was tried in `why` and the line to paste in `fix`.
 */
export async function findServer(options: FindServerOptions = {}): Promise<FoundServer> {
  const env = options.env ?? process.env;
  const { cacheDir = defaultCacheDir(env), places = BESIDE_PATH, version } = options;
  const search: Search = { cacheDir: resolve(cacheDir), env, places, version, tried: [] };
  const found = (await named(search)) ?? (await onPath(search)) ?? (await cached(search)) ?? (await fetched(search));
  if (found === undefined) throw nothingFound(search);
  options.say?.(`nats-server ${found.version} from ${found.from}`);
  return found;
}

/** A server that a person named is used or is an error: another one in its stead would be a surprise. */
async function named({ env }: Search): Promise<FoundServer | undefined> {
  const path = env.NAVVY_NATS_SERVER;
  if (!path) return undefined;
  const version = await versionOf(resolve(path), env);
  if (version !== undefined) return { path: resolve(path), version, from: "NAVVY_NATS_SERVER" };
  throw new NavvyError("setup_failed", `NAVVY_NATS_SERVER=${path} is not a nats-server that runs here`, {
    why: "the file is missing, can not be run, or does not answer --version like a nats-server",
    fix: "unset NAVVY_NATS_SERVER",
  });
}

async function onPath(search: Search): Promise<FoundServer | undefined> {
  const folders = [...(search.env.PATH ?? "").split(":").filter(Boolean), ...search.places];
  const paths = folders.map((folder) => join(resolve(folder), "nats-server"));
  const found = await firstThatRuns(search, paths, "PATH");
  if (found === undefined) search.tried.push("none on PATH");
  return found;
}

async function cached(search: Search): Promise<FoundServer | undefined> {
  const found = await firstThatRuns(search, await cachedPaths(search.cacheDir), "the cache");
  if (found === undefined) search.tried.push(`none cached in ${search.cacheDir}`);
  return found;
}

async function firstThatRuns(search: Search, paths: string[], from: string): Promise<FoundServer | undefined> {
  for (const path of new Set(paths)) {
    const version = await versionOf(path, search.env);
    if (version === undefined) continue;
    if (isWanted(search, version)) return { path, version, from };
    search.tried.push(`${path} is ${version}, wanted ${search.version ?? `${OLDEST} or newer`}`);
  }
  return undefined;
}

function isWanted({ version: wanted }: Search, version: string): boolean {
  if (wanted === undefined) return compareVersions(version, OLDEST) >= 0;
  return version === wanted || version.startsWith(`${wanted}.`);
}

async function fetched(search: Search): Promise<FoundServer | undefined> {
  const { cacheDir, env, tried } = search;
  if (env.NAVVY_OFFLINE === "1") {
    tried.push("nothing fetched, as NAVVY_OFFLINE=1");
    return undefined;
  }
  try {
    await using staging = await stagingFolder(cacheDir);
    return (await released(search, staging.path)) ?? (await packaged(search, staging.path));
  } catch (error) {
    tried.push(`${cacheDir} can not be written: ${(error as Error).message}`);
    return undefined;
  }
}

async function released(search: Search, staging: string): Promise<FoundServer | undefined> {
  const into = join(staging, "release");
  // A line such as 2.10 names no release.
  const version = search.version !== undefined && /^\d+\.\d+\.\d+/.test(search.version) ? search.version : PINNED;
  const refused = await fetchRelease({ version, into, from: search.env.NAVVY_NATS_RELEASES });
  if (refused !== undefined) search.tried.push(`release ${version}: ${refused}`);
  return refused === undefined ? take(search, into, "its releases") : undefined;
}

async function packaged(search: Search, staging: string): Promise<FoundServer | undefined> {
  const into = join(staging, "package");
  const refused = await fetchApt({ work: staging, into, env: search.env });
  if (refused !== undefined) search.tried.push(`package: ${refused}`);
  return refused === undefined ? take(search, into, "this machine's package sources") : undefined;
}

/** Takes what was unpacked into the cache, unless it is not what was wanted. */
async function take(search: Search, unpacked: string, origin: string): Promise<FoundServer | undefined> {
  const found = await firstThatRuns(search, [join(unpacked, "nats-server")], origin);
  if (found === undefined) {
    search.tried.push(`what was fetched from ${origin} can not be used here`);
    return undefined;
  }
  const folder = await keep(unpacked, { cacheDir: search.cacheDir, version: found.version });
  return { path: join(folder, "nats-server"), version: found.version, from: `${origin}, downloaded into ${folder}` };
}

function nothingFound({ tried, version }: Search): NavvyError {
  return new NavvyError("setup_failed", `no nats-server${version === undefined ? "" : ` ${version}`} was found or could be fetched`, {
    why: tried.join("; "),
    fix: [...installLine(), "or download it from https://nats.io/download and set NAVVY_NATS_SERVER to its path"],
  });
}

/** Empty where no package manager is known to have it. */
function installLine(): string[] {
  if (process.platform === "darwin") return ["brew install nats-server"];
  return existsSync("/usr/bin/apt-get") ? ["sudo apt-get install nats-server"] : [];
}
