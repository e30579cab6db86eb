// `npm run test:gpu`: the tests that need a real GPU of NVIDIA. Where there is none it says so and ends with 3, so that nobody takes
// it for a pass. `python3` (nothing beside it) makes the CUDA processes.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const NOT_RUN = 3;

const asked = spawnSync("nvidia-smi", ["-L"], { encoding: "utf8", timeout: 30_000 });
const gpus = (asked.stdout ?? "").split("\n").filter((line) => line.startsWith("GPU "));
if (asked.error?.code === "ENOENT") notRun("there is no nvidia-smi on this machine");
if (asked.status !== 0) notRun(`nvidia-smi failed: ${asked.error?.message ?? (asked.stdout + asked.stderr).trim().split("\n")[0]}`);
if (gpus.length === 0) notRun("nvidia-smi tells of no GPU");
if (spawnSync("python3", ["-c", "import ctypes"]).status !== 0) notRun("there is no python3 to make a CUDA process with");

console.log(`on ${gpus.length} GPU${gpus.length === 1 ? "" : "s"}:\n${gpus.join("\n")}`);
run("node", ["scripts/setup.mjs"]);
run("node", ["node_modules/vitest/vitest.mjs", "run", "--project", "gpu"]);

function run(program, args) {
  const { status } = spawnSync(program, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}

function notRun(why) {
  console.error(`✖ test:gpu was NOT RUN: ${why}. Nothing was tested.\n  fix: run it on a machine with an NVIDIA GPU and its driver`);
  process.exit(NOT_RUN);
}
