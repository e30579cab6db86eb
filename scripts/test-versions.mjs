// The integration and fault tests against every nats-server and under every Node that can be had here, one run for each pair; then
// a table. A version that is missing is said, and fails the whole unless --allow-missing.
//
//   npm run test:versions
//   npm run test:versions -- --nats 2.10 --node 20 test/fault/nats-server.test.ts
//
// --nats LINE, --node MAJOR: only these (repeatable); --allow-missing; anything else goes to vitest (default: both folders).
// NAVVY_TEST_NODES=PATH:PATH names more Node programs; else those on PATH and of nvm, fnm, volta, asdf and n are found.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const root = fileURLToPath(new URL("..", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { nats: { type: "string", multiple: true }, node: { type: "string", multiple: true }, "allow-missing": { type: "boolean" } },
});
const tests = positionals.length > 0 ? positionals : ["test/integration", "test/fault"];

/** Debian's suites and the line of nats-server that each has; the last one is the newest there is. */
const SUITES = { 2.9: "bookworm", "2.10": "trixie", newest: "sid" };
const NODES = ["20", "22", "24"];

const servers = pick(values.nats, Object.keys(SUITES)).map((line) => ({ line, ...findServer(line) }));
const nodes = pick(values.node, NODES).map((major) => ({ major, path: findNode(major) }));
const missing = [
  ...servers.filter(({ path }) => !path).map(({ line, fetch }) => `nats-server ${line}: none could be fetched; try ${fetch}`),
  ...nodes.filter(({ path }) => !path).map(({ major }) => `Node ${major}: not on PATH, in NAVVY_TEST_NODES or a version manager's folder`),
];
for (const line of missing) console.log(`MISSING  ${line}`);

const rows = [];
for (const server of servers) {
  for (const node of nodes) {
    const result = server.path && node.path ? run(server, node) : { passed: "-", failed: "-", seconds: "-", result: "MISSING" };
    rows.push({ "nats-server": server.version ?? server.line, node: node.major, ...result });
  }
}
console.table(rows);
for (const line of missing) console.log(`MISSING  ${line}`);
const hasFailed = rows.some(({ result }) => result === "failed");
const isServerMissing = servers.some(({ path }) => !path) || rows.every(({ result }) => result === "MISSING");
process.exitCode = hasFailed || (isServerMissing && !values["allow-missing"]) ? 1 : 0;

function pick(wanted, all) {
  return wanted ?? all;
}

/** The script keeps what it fetched, so this is quick the second time. */
function findServer(line) {
  const fetch = `scripts/fetch-nats-versions.sh ${SUITES[line] ?? ""}`.trim();
  const { stdout, stderr } = spawnSync(join(root, "scripts", "fetch-nats-versions.sh"), SUITES[line] ? [SUITES[line]] : [], {
    encoding: "utf8",
  });
  const found = stdout
    .trim()
    .split("\n")
    .map((one) => one.split("\t"))
    .filter(([version, path]) => path && (line === "newest" || version.startsWith(`${line}.`)));
  if (found.length === 0) process.stderr.write(stderr);
  const [version, path] = found.at(-1) ?? [];
  return { version, path, fetch };
}

function findNode(major) {
  return candidates().find((path) => existsSync(path) && versionOf(path).startsWith(`v${major}.`));
}

function candidates() {
  const home = homedir();
  const managers = [
    [process.env.NVM_DIR ?? join(home, ".nvm"), "versions/node", "bin/node"],
    [process.env.FNM_DIR ?? join(home, ".local/share/fnm"), "node-versions", "installation/bin/node"],
    [process.env.VOLTA_HOME ?? join(home, ".volta"), "tools/image/node", "bin/node"],
    [process.env.ASDF_DATA_DIR ?? join(home, ".asdf"), "installs/nodejs", "bin/node"],
    [process.env.N_PREFIX ?? "/usr/local", "n/versions/node", "bin/node"],
  ];
  const managed = managers.flatMap(([base, folder, program]) => {
    const versions = join(base, folder);
    return existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, program)) : [];
  });
  const named = (process.env.NAVVY_TEST_NODES ?? "").split(delimiter).filter(Boolean);
  const onPath = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "node"));
  return [process.execPath, ...named, ...onPath, ...managed];
}

function versionOf(path) {
  return spawnSync(path, ["--version"], { encoding: "utf8" }).stdout?.trim() ?? "";
}

function run(server, node) {
  console.log(`── nats-server ${server.version}, Node ${versionOf(node.path)}: ${tests.join(" ")}`);
  const since = performance.now();
  const env = { ...process.env, NAVVY_TEST_NATS: server.path, PATH: `${dirname(node.path)}${delimiter}${process.env.PATH}`, NO_COLOR: "1" };
  const vitest = join(root, "node_modules", "vitest", "vitest.mjs");
  const { status, stdout } = spawnSync(node.path, [vitest, "run", "--project", "main", ...tests], {
    cwd: root,
    env,
    encoding: "utf8",
    maxBuffer: 256 * 1024 * 1024,
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0) console.log(stdout);
  const summary = /^\s*Tests\s+(.*)$/m.exec(stdout)?.[1] ?? "";
  const count = (what) => Number(new RegExp(`(\\d+) ${what}`).exec(summary)?.[1] ?? 0);
  const seconds = Math.round((performance.now() - since) / 1_000);
  return { passed: count("passed"), failed: count("failed"), seconds, result: status === 0 ? "passed" : "failed" };
}
