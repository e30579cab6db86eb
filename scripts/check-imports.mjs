// Which folder may import what. Plain text matching over import specifiers: no parser to go out of date, nothing to configure.
// Prints one line per breach and ends with 1; `--root FOLDER` looks at another tree (that is how the rules themselves are tried).
import { readdirSync, readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join, posix, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** cli, dashboard → controller → agent → broker → protocol; `task` stands alone because user programs load it. */
const MAY_IMPORT = {
  protocol: [],
  task: [],
  broker: ["protocol"],
  agent: ["broker", "protocol"],
  controller: ["agent", "broker", "protocol", "task"],
  dashboard: ["agent", "controller", "broker", "protocol"],
  cli: ["dashboard", "agent", "controller", "broker", "protocol", "task"],
  examples: ["agent", "controller", "broker", "protocol", "task"],
};

const LAUNCHES = /^(agent\/(host\/|runners\/)|broker\/server\/)/;
const LAUNCHES_WITH_EXECA = /^(agent|broker\/(server|bundle)|cli|examples)\//;
const READS_THE_COMMAND_LINE = /^(cli|examples)\//;
const FREE_OF_FOLDER_RULES = /(^(test|bench|scripts)\/)|\.test\.ts$|^[^/]+$/;
const SPECIFIER = /(?:^|[^.\w])(?:(?:import|export)\s[^"';]*?\sfrom\s*|import\s*\(?\s*|require\s*\(\s*)["']([^"'\n]+)["']/g;

const at = process.argv.indexOf("--root");
const root = at > 0 ? process.argv[at + 1] : fileURLToPath(new URL("..", import.meta.url));

const breaches = sources(root).flatMap((file) => breachesOf(file, readFileSync(join(root, file), "utf8")));
for (const line of breaches) console.log(line);
if (breaches.length > 0) process.exit(1);

function sources(folder) {
  const skip = new Set(["node_modules", "dist", ".git", ".cache"]);
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (skip.has(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return /\.(ts|mts|tsx)$/.test(entry.name) ? [relative(root, path).split(sep).join("/")] : [];
  });
}

function breachesOf(file, text) {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " ")).replace(/^\s*\/\/.*$/gm, "");
  return [...code.matchAll(SPECIFIER)].flatMap((match) => {
    const wrong = specifierProblem(file, match[1], match[0]);
    const line = code.slice(0, match.index + match[0].length).split("\n").length;
    return wrong ? [`${file}:${line} ${wrong.rule}: "${match[1]}" — ${wrong.why}`] : [];
  });
}

function specifierProblem(file, specifier, statement) {
  if (FREE_OF_FOLDER_RULES.test(file)) return undefined;
  return specifier.startsWith(".") ? relativeProblem(file, specifier) : packageProblem({ file, specifier, statement });
}

function relativeProblem(file, specifier) {
  const from = file.split("/")[0];
  const target = posix.normalize(posix.join(posix.dirname(file), specifier));
  const to = target.split("/")[0];
  if (to === from || !target.includes("/")) return undefined;
  const allowed = MAY_IMPORT[from] ?? [];
  if (!allowed.includes(to)) return { rule: "direction", why: `${from}/ may import ${allowed.join(", ") || "no other folder"}` };
  if (!target.endsWith("/index.js")) return { rule: "index-only", why: `take it from an index.js of ${to}/` };
  return undefined;
}

function packageProblem({ file, specifier, statement }) {
  const folder = file.split("/")[0];
  const builtin = isBuiltin(specifier);
  if (builtin && !specifier.startsWith("node:")) return { rule: "node-prefix", why: `write "node:${specifier}"` };
  if (folder === "protocol" && builtin) return { rule: "pure-protocol", why: "protocol/ does no I/O and runs anywhere" };
  if (folder === "task" && !builtin) return { rule: "bare-task", why: "task/ is loaded by user programs: node: only" };
  if (/^(nats$|@nats-io\/)/.test(specifier) && folder !== "broker") return { rule: "nats", why: "only broker/ talks to NATS" };
  if (/^node:(child_process|cluster)$/.test(specifier) && !LAUNCHES.test(file))
    return { rule: "launcher", why: "start processes in agent/host, agent/runners" };
  if (specifier === "execa" && !LAUNCHES_WITH_EXECA.test(file)) return { rule: "launcher", why: "this folder starts no processes" };
  if (/\b(argv|exit)\b/.test(statement) && specifier === "node:process" && !READS_THE_COMMAND_LINE.test(file)) {
    return { rule: "command-line", why: "only cli/ reads argv and exits" };
  }
  return undefined;
}
