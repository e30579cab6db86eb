import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { eventually } from "./eventually.js";

/** The package as a user has it: installed from its tarball in an empty folder. */
export interface Packed {
  /** A folder whose `node_modules` holds navvy and nothing else that was asked for. */
  folder: string;
  /** The `navvy` command in it. */
  bin: string;
  /** The tarball it came from. */
  tarball: string;
  /** The files in the tarball, relative to the package. */
  files: string[];
}

const INSTALL_MS = 180_000;

/**
 * Packs `dist/` as it is and installs the tarball. The installation is kept in the temp folder under the tarball's checksum, so all
 * tests of a run (and later runs of an unchanged build) share it; do not write to it. Needs npm's cache or registry the first time.
 */
export async function installPacked(): Promise<Packed> {
  const base = join(tmpdir(), `navvy-packed-${userInfo().uid}`);
  await mkdir(base, { recursive: true, mode: 0o700 });
  const { path, files } = await pack(base);
  const hash = createHash("sha256")
    .update(await readFile(path))
    .digest("hex")
    .slice(0, 16);
  const folder = join(base, hash);
  const tarball = join(folder, "navvy.tgz");
  try {
    if (!existsSync(folder)) await alone(`${folder}.lock`, () => install(path, folder));
  } finally {
    await rm(join(path, ".."), { recursive: true, force: true });
  }
  return { folder, bin: join(folder, "node_modules", ".bin", "navvy"), tarball, files };
}

/** What npm's own scripts set is not what a user's shell has: inside `npm test` it would point back at this project. */
export function userEnv(): Record<string, string | undefined> {
  const ours = /^(npm_(package|lifecycle|command|execpath|config_local_prefix|config_prefix)|INIT_CWD|NODE_PATH|VITEST|NAVVY_(?!TEST_))/;
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !ours.test(name)));
}

/** Without scripts: packing would build, and two builds at once trip over each other. */
async function pack(base: string): Promise<{ path: string; files: string[] }> {
  const folder = await mkdtemp(join(base, "pack-"));
  const { stdout } = await npm(process.cwd(), ["pack", "--ignore-scripts", "--json", "--pack-destination", folder]);
  const [made] = packReport(stdout);
  if (made === undefined) throw new Error(`npm pack reported nothing: ${stdout}`);
  return { path: join(folder, made.filename), files: made.files.map((file) => file.path) };
}

/** An array up to npm 11, an object by package name in some later ones. */
function packReport(stdout: string): { filename: string; files: { path: string }[] }[] {
  return Object.values(JSON.parse(stdout) as Record<string, { filename: string; files: { path: string }[] }>);
}

/** Into a folder of its own first, then renamed: whoever sees the final name sees a complete installation. */
async function install(tarball: string, folder: string): Promise<void> {
  if (existsSync(folder)) return;
  const staging = await mkdtemp(`${folder}-staging-`);
  await writeFile(join(staging, "package.json"), "{}\n");
  await writeFile(join(staging, "navvy.tgz"), await readFile(tarball));
  await npm(staging, ["install", "./navvy.tgz", "--omit=dev", "--no-audit", "--no-fund", "--prefer-offline"]);
  await rename(staging, folder);
}

async function npm(cwd: string, args: string[]): Promise<{ stdout: string }> {
  return execa("npm", [...args, "--loglevel=error"], { cwd, env: userEnv(), extendEnv: false, timeout: INSTALL_MS });
}

/** One process at a time: the others wait for it, and take over when it dies. */
async function alone(lock: string, work: () => Promise<void>): Promise<void> {
  await eventually("another test process has installed the tarball", () => take(lock), { timeoutMs: INSTALL_MS, everyMs: 100 });
  try {
    await work();
  } finally {
    await rm(lock, { force: true });
  }
}

async function take(lock: string): Promise<boolean> {
  const file = await open(lock, "wx").catch(() => undefined);
  if (file !== undefined) {
    await file.writeFile(String(process.pid));
    await file.close();
    return true;
  }
  const holder = Number(await readFile(lock, "utf8").catch(() => ""));
  if (holder > 0 && !isAlive(holder)) await rm(lock, { force: true });
  return false;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
