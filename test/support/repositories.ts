import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { Repositories, type RepositoriesOptions } from "../../agent/host/repositories.js";
import { NavvyError } from "../../protocol/index.js";
import { tempFolder } from "./folder.js";
import { makeOrigin, PLAIN_GIT } from "./git.js";

/** A remote, and the repositories of a host beside it. */
export interface RepositoriesHome extends AsyncDisposable {
  path: string;
  /** The cache. */
  dir: string;
  origin: Awaited<ReturnType<typeof makeOrigin>>;
  /** What was said, and `[code]` where a section began. */
  lines: string[];
  log: Parameters<Repositories["materialize"]>[1]["log"];
  /** As after a restart. */
  repositories(options?: Partial<RepositoriesOptions>): Repositories;
  /** A folder that is not there yet. */
  place(): string;
}

export async function repositoriesHome(): Promise<RepositoriesHome> {
  const temp = await tempFolder();
  const { path } = temp;
  const dir = join(path, "cache");
  const lines: string[] = [];
  const inherited = { ...process.env, ...PLAIN_GIT, NAVVY_TOKEN: "hidden" };
  const fetch = (sha256: string, file: string) => copyFile(join(path, sha256), file);
  let count = 0;
  return {
    ...{ path, dir, lines, origin: await makeOrigin(path) },
    log: {
      section: (name, act) => (lines.push(`[${name}]`), act()),
      say: async (text) => void lines.push(text),
    },
    repositories: (options = {}) => new Repositories({ dir, maxBytes: 2 ** 30, limitMs: 20_000, inherited, fetch, ...options }),
    place: () => join(path, `work-${++count}`),
    [Symbol.asyncDispose]: () => temp[Symbol.asyncDispose](),
  };
}

/** The error of ours that something ends with. */
export async function refusalOf(acting: Promise<unknown>): Promise<NavvyError> {
  const error = await acting.then(
    () => new Error("it was not refused"),
    (reason: unknown) => reason,
  );
  if (error instanceof NavvyError) return error;
  throw error;
}
