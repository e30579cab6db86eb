// Makes a fresh checkout ready: dependencies, build, a nats-server. `npm start` and `npm test` run it first, so nobody needs to
// know the steps. Each step that has something to do prints one line; what is up to date is silent. `build` as the only argument
// does the first two steps alone, which is what packing needs.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "./setup-build.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const say = (line) => console.error(line);

try {
  checkNode();
  step("dependencies installed", installDependencies);
  step("built", () => build(root));
  if (process.argv[2] !== "build") await findNatsServer();
} catch (error) {
  say(`✖ ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  throw new Error(
    `navvy needs Node 20.19 or newer; this is ${process.version} (${process.execPath})\nfix: install a newer Node from https://nodejs.org`,
  );
}

function step(done, work) {
  const since = performance.now();
  if (work()) say(`✔ ${done} in ${Math.max(1, Math.round((performance.now() - since) / 1000))} s`);
}

/** Native parts are chosen by Node's major version and the platform, so both belong to the stamp beside the lock file. */
function installDependencies() {
  const lock = readFileSync(join(root, "package-lock.json"));
  const platform = `${process.versions.node.split(".")[0]} ${process.platform} ${process.arch}`;
  const stamp = `${createHash("sha256").update(lock).digest("hex")} ${platform}`;
  const file = join(root, "node_modules", ".navvy-setup");
  const before = existsSync(file) ? readFileSync(file, "utf8") : undefined;
  if (before === stamp) return false;
  const already = (before?.endsWith(` ${platform}`) ?? true) && installedMatches(JSON.parse(lock.toString()));
  if (!already) npmInstall();
  writeFileSync(file, stamp);
  return !already;
}

/** Someone may have run npm by hand: it leaves what it installed in a lock file of its own. */
function installedMatches(lock) {
  const file = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(file)) return false;
  const installed = JSON.parse(readFileSync(file, "utf8")).packages;
  return Object.entries(lock.packages).every(([path, { version, optional }]) => {
    return path === "" || (optional && !installed[path]) || installed[path]?.version === version;
  });
}

/**
 * Exactly what the lock file names. Some registry mirrors lack the builds for other platforms, and `npm ci` calls a lock file that
 * was written behind one "out of sync" (EUSAGE); `npm install --no-save` then takes the same locked versions and changes no file.
 */
function npmInstall() {
  const clean = npm("ci");
  if (clean.status === 0) return;
  const lenient = clean.output.includes("code EUSAGE") ? npm("install", "--no-save") : clean;
  if (lenient.status !== 0) throw new Error(`npm could not install the dependencies\n${lenient.output}`);
}

/** Development dependencies too, whatever NODE_ENV or the user's configuration says: the build is made of them. */
function npm(...args) {
  const options = { cwd: root, encoding: "utf8", shell: process.platform === "win32" };
  const result = spawnSync("npm", [...args, "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"], options);
  return { status: result.status, output: `${result.error?.message ?? ""}${result.stdout ?? ""}${result.stderr ?? ""}` };
}

/** Looked for now rather than by the first test, which may be under a time limit when it has to be fetched. */
async function findNatsServer() {
  const { findServer } = await import(pathToFileURL(join(root, "dist", "broker", "server", "index.js")).href);
  await findServer({ say });
}
