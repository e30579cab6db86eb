import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { compareVersions, defaultCacheDir } from "../../broker/server/index.js";

const FETCH = fileURLToPath(new URL("../../scripts/fetch-nats-versions.sh", import.meta.url));
/** The suites with the oldest server that is supported, and with the oldest that may be clustered. */
const SUITES = ["bookworm", "trixie"];
const run = promisify(execFile);

/**
 * The path of a server of one line (`2.9`) or of at least a version (`2.9.21+`): `NAVVY_TEST_NATS` when it fits, else the oldest
 * one in the cache that does, else one that is fetched. Fails with the line that fetches them: a test that needs one is never
 * left out in silence.
 */
export async function findNats(wanted: string): Promise<string> {
  const named = process.env.NAVVY_TEST_NATS;
  if (named && fits(await versionOf(named), wanted)) return named;
  const found = (await cached(wanted)) ?? (await fetched(wanted));
  if (found) return found;
  throw new Error(
    `this test needs nats-server ${wanted}, and none is here or could be fetched\nfix: scripts/fetch-nats-versions.sh ${SUITES.join(" ")}\nor: NAVVY_TEST_NATS=PATH npm test`,
  );
}

function fits(version: string, wanted: string): boolean {
  if (wanted.endsWith("+")) return compareVersions(version, wanted.slice(0, -1)) >= 0;
  return version.startsWith(`${wanted}.`);
}

async function versionOf(binary: string): Promise<string> {
  const { stdout } = await run(binary, ["--version"]);
  return /v(\d+\.\d+\.\d+)/.exec(stdout)?.[1] ?? "0.0.0";
}

async function cached(wanted: string): Promise<string | undefined> {
  const folder = join(defaultCacheDir(process.env), "versions");
  const versions = (await readdir(folder).catch(() => [])).filter((name) => /^\d/.test(name)); // no cache yet: nothing is in it
  const oldest = versions.sort(compareVersions).find((version) => fits(version, wanted));
  return oldest && join(folder, oldest, "nats-server");
}

/** The script says which suites gave none: shown, as it explains the failure that follows. */
async function fetched(wanted: string): Promise<string | undefined> {
  await run(FETCH, SUITES).catch((error: { stderr?: string }) => process.stderr.write(error.stderr ?? ""));
  return cached(wanted);
}
