import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { inject } from "vitest";
import type { TaskRecord } from "../../protocol/index.js";
import { eventually } from "../support/eventually.js";
import { NATS_IMAGE, NAVVY_IMAGE } from "../support/navvy-images.js";

/** The socket of the engine that all files share, on this machine. */
export const SOCKET = inject("dockerHost").replace("unix://", "");
export const ENV = { DOCKER_HOST: inject("dockerHost") };

/** Runs the engine's command line; rejects when that fails. */
export async function docker(...args: string[]): Promise<string> {
  return (await execa("docker", args, { env: ENV })).stdout;
}

/** What a container has printed, both streams. */
export async function logs(container: string): Promise<string> {
  return (await execa("docker", ["logs", container], { env: ENV, all: true })).all;
}

/** A container, a look for the engine, and a server that is asked first, on a machine that does other things too. */
const START_MS = 60_000;

/** Every look is a program of its own. */
const LOOK_MS = 250;

/** `eventually` for what is looked at through the engine or `navvy`. */
export function inTime<T>(what: string, probe: () => T | Promise<T>): ReturnType<typeof eventually<T>> {
  return eventually(what, probe, { timeoutMs: START_MS, everyMs: LOOK_MS });
}

/** How to start an agent's container. */
export interface AgentContainer {
  /** Flags of `docker run`. */
  flags?: string[];
  /** Flags of `navvy agent start`. */
  args?: string[];
}

/** A NATS server, agents and a client, each in a container, on a network of their own. */
export interface Fleet extends AsyncDisposable {
  /** A folder of this machine for agents' work. */
  workDir: string;
  /** Flags that mount it where agents have theirs, and the engine's socket. */
  mounts: string[];
  /** Runs `navvy` in a container of its own; rejects when that fails. */
  navvy(...args: string[]): Promise<string>;
  task(id: string): Promise<TaskRecord>;
  /** Creates and enqueues; resolves with the id. */
  submit(...args: string[]): Promise<string>;
  containerOf(agent: string): string;
  /** Starts an agent; resolves with its container's name at once. */
  start(agent: string, options?: AgentContainer): Promise<string>;
  /** Starts one and waits until it serves. */
  serve(agent: string, options?: AgentContainer): Promise<string>;
}

/** Starts one: `await using fleet = await startFleet()`. */
export async function startFleet(): Promise<Fleet> {
  const name = `fleet-${randomUUID().slice(0, 8)}`;
  const workDir = await mkdtemp(join(tmpdir(), "navvy-work-"));
  await docker("network", "create", name);
  const common = ["--network", name, "--label", `test=${name}`, "--env", "NAVVY_SERVER=nats://nats:4222"];
  const conf = ["--volume", `${process.cwd()}/docker/nats:/etc/nats:ro`, "--env", "NATS_MAX_STORE=2GB", "--network-alias", "nats"];
  await docker("run", "--detach", "--name", `${name}-nats`, ...common, ...conf, NATS_IMAGE, "-c", "/etc/nats/server.conf");
  await docker("run", "--detach", "--name", `${name}-client`, ...common, "--entrypoint", "tini", NAVVY_IMAGE, "--", "sleep", "3600");
  const navvy = (...args: string[]) => docker("exec", `${name}-client`, "navvy", ...args);
  const task = async (id: string) => JSON.parse(await navvy("task", "show", id, "-o", "json")) as TaskRecord;
  const start = async (agent: string, { flags = [], args = [] }: AgentContainer = {}) => {
    const container = `${name}-${agent}`;
    const own = ["--env", `NAVVY_AGENT_NAME=${agent}`, ...flags];
    await docker("run", "--detach", "--name", container, ...common, ...own, NAVVY_IMAGE, "agent", "start", "--lease", "4s", ...args);
    return container;
  };
  return {
    workDir,
    mounts: ["--volume", `${SOCKET}:/var/run/docker.sock`, "--volume", `${workDir}:/var/lib/navvy`],
    navvy,
    task,
    submit: async (...args) => (await navvy("run", "--detach", "--quiet", ...args)).trim(),
    containerOf: (agent) => `${name}-${agent}`,
    start,
    serve: async (agent, options) => {
      const container = await start(agent, options);
      const isUp = async () => {
        const said = await logs(container);
        if (said.includes("agent is up")) return true;
        throw new Error(said || "it has said nothing yet");
      };
      await inTime(`${agent} serves`, isUp);
      return container;
    },
    async [Symbol.asyncDispose]() {
      const left = (await docker("ps", "--all", "--quiet", "--filter", `label=test=${name}`)).split("\n").filter(Boolean);
      await docker("rm", "--force", "--volumes", ...left);
      await docker("network", "rm", name);
      await rm(workDir, { recursive: true, force: true });
    },
  };
}
