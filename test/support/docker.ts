import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { eventually } from "./eventually.js";

/** A real container engine of a test file's own: its data, its socket and its processes are nobody else's. */
export interface Docker extends AsyncDisposable {
  /** For `DOCKER_HOST`. */
  readonly host: string;
  /** What an agent needs of the environment to find it. */
  readonly env: { DOCKER_HOST: string; NAVVY_RUNTIME?: string };
  /** Runs the command line against it; rejects when that fails. */
  docker(...args: string[]): Promise<string>;
  /** Names of all containers. */
  containers(): Promise<string[]>;
  /** Sends a signal to the engine. */
  kill(signal: NodeJS.Signals): void;
  /** Starts it again after it was killed. */
  restart(): Promise<void>;
}

/** What every test's base image is called: a shell and the usual small programs, made of this machine's busybox. */
export const BASE_IMAGE = "navvy-test/base:1";

const INSTALL = "apt-get install --no-install-recommends docker.io busybox-static iptables";

/** What kind of engine a test needs. */
export interface StartDockerOptions {
  /**
   * Networks between containers, and published ports. They are in a network of the engine's own, so they meet nothing of this machine's,
   * and nobody reaches them but its containers. Default false: containers have no network, or the machine's.
   */
  hasNetworks?: boolean;
}

/** Starts one: `await using engine = await startDocker()`. Needs root and the packages that its error names. */
export async function startDocker(options: StartDockerOptions = {}): Promise<Docker> {
  requirePrograms(["dockerd", "docker", "busybox"], INSTALL);
  const folder = await mkdtemp(join(tmpdir(), "navvy-docker-"));
  const host = `unix://${join(folder, "docker.sock")}`;
  const env = { ...process.env, DOCKER_HOST: host };
  let engine = await run(folder, host, options);
  const docker = async (...args: string[]) => (await execa("docker", args, { env })).stdout;
  await importBase(folder, { env });
  return {
    host,
    env: { DOCKER_HOST: host, NAVVY_RUNTIME: "docker" },
    docker,
    containers: async () => (await docker("ps", "--all", "--format", "{{.Names}}")).split("\n").filter(Boolean),
    kill: (signal) => void engine.kill(signal),
    restart: async () => {
      engine = await run(folder, host, options);
    },
    async [Symbol.asyncDispose]() {
      engine.kill("SIGCONT");
      const left = (await docker("ps", "--all", "--quiet").catch(() => "")).split("\n").filter(Boolean);
      if (left.length > 0) await docker("rm", "--force", ...left).catch(() => "");
      engine.kill("SIGTERM");
      const late = setTimeout(() => engine.kill("SIGKILL"), 15_000);
      if (engine.exitCode === null && engine.signalCode === null) await once(engine, "exit");
      clearTimeout(late);
      // One that was killed leaves its mounts.
      for (const mount of mountsBelow(folder)) await execa("umount", [mount], { reject: false });
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** The program becomes the engine: a signal to it is the engine's. */
const IN_ITS_OWN_NETWORK = ["unshare", "--net", "sh", "-c", 'busybox ip link set lo up && exec dockerd "$@"', "dockerd"];

async function run(folder: string, host: string, { hasNetworks = false }: StartDockerOptions): Promise<ChildProcess> {
  const of = (name: string) => join(folder, name);
  // A file that a killed one left would keep the next from starting.
  await rm(of("pid"), { force: true });
  const flags = ["--data-root", of("data"), "--exec-root", of("exec"), "--pidfile", of("pid"), "--host", host];
  const bare = ["--bridge", "none", "--iptables=false", "--ip6tables=false"];
  const [program = "", ...args] = hasNetworks ? [...IN_ITS_OWN_NETWORK, ...flags] : ["dockerd", ...flags, ...bare];
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data: Buffer) => (said = (said + data.toString()).slice(-4_000)));
  await eventually(
    "the engine answers",
    async () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`dockerd ended (needs root, and: ${INSTALL}):\n${said}`);
      return execa("docker", ["version"], { env: { ...process.env, DOCKER_HOST: host } }).then(
        () => true,
        () => false,
      );
    },
    { timeoutMs: 40_000 },
  );
  return child;
}

/** The innermost first. */
function mountsBelow(folder: string): string[] {
  const points = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "");
  return points.filter((point) => point.startsWith(`${folder}/`)).toReversed();
}

/** Gives an engine the base image. */
export async function importBase(folder: string, { engine = "docker", env }: { engine?: string; env: NodeJS.ProcessEnv }): Promise<void> {
  const root = join(folder, "base");
  for (const name of ["bin", "tmp", "etc", "proc", "dev"]) mkdirSync(join(root, name), { recursive: true });
  const busybox = execFileSync("sh", ["-c", "command -v busybox"], { encoding: "utf8" }).trim();
  cpSync(busybox, join(root, "bin", "busybox"), { dereference: true });
  const programs = execFileSync(busybox, ["--list"], { encoding: "utf8" }).split("\n").filter(Boolean);
  for (const name of programs) if (name !== "busybox") symlinkSync("busybox", join(root, "bin", name));
  const tar = execa("tar", ["--directory", root, "--create", "."], { encoding: "buffer", maxBuffer: 64 * 2 ** 20 });
  const { stdout } = await tar;
  await execa(engine, ["import", "--change", "ENV PATH=/bin", "-", BASE_IMAGE], { env, input: stdout });
  await rm(root, { recursive: true, force: true });
}

/** Fails with the line that installs what is missing. */
export function requirePrograms(programs: string[], install: string): void {
  const folders = (process.env["PATH"] ?? "").split(":");
  const missing = programs.filter((program) => !folders.some((folder) => existsSync(join(folder, program))));
  if (missing.length > 0) throw new Error(`${missing.join(", ")} is not on this machine, and tests of containers need it: ${install}`);
}
