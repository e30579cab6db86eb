import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TaskRecord } from "../../protocol/index.js";
import { findCompose } from "../support/compose.js";
import { BASE_IMAGE } from "../support/docker.js";
import { eventually } from "../support/eventually.js";
import { NATS_IMAGE, NAVVY_IMAGE } from "../support/navvy-images.js";
import { docker, ENV, inTime, SOCKET } from "./fleet.js";

/** A fleet as a compose file has it, with the images that are here in place of public ones. */
interface Composed extends AsyncDisposable {
  /** The host's folder for the agents' work. */
  workDir: string;
  compose(...args: string[]): Promise<string>;
  /** Runs `navvy` in the first agent's container, as the file's header says. */
  navvy(...args: string[]): Promise<string>;
  task(id: string): Promise<TaskRecord>;
}

let program: [string, ...string[]];
beforeAll(async () => {
  program = await findCompose();
});

/** Until all of it is healthy: each look at an agent is a program. */
const START_MS = 300_000;

async function start(file: string, ports: Record<string, string>): Promise<Composed> {
  const workDir = await mkdtemp(join(tmpdir(), "navvy-compose-"));
  const images = { NAVVY_IMAGE, NATS_IMAGE };
  const env = { ...ENV, ...images, ...ports, NAVVY_HOST_WORK_DIR: workDir, DOCKER_SOCKET: SOCKET, NAVVY_SLOTS: "2" };
  const [command, ...first] = program;
  const compose = async (...args: string[]) => (await execa(command, [...first, "--file", file, ...args], { env })).stdout;
  const navvy = (...args: string[]) => compose("exec", "--no-TTY", "agent-1", "navvy", ...args);
  const composed: Composed = {
    workDir,
    compose,
    navvy,
    task: async (id) => JSON.parse(await navvy("task", "show", id, "-o", "json")) as TaskRecord,
    async [Symbol.asyncDispose]() {
      await compose("kill");
      await compose("down", "--volumes");
      await rm(workDir, { recursive: true, force: true });
    },
  };
  try {
    const up = () => compose("up", "--no-build", "--detach");
    // A server of a cluster that stays behind from the beginning (see `haveCaughtUp`) keeps the others waiting: once more, as a person would.
    await up().catch(() => compose("stop").then(up));
    // Not `--wait`: on a busy machine an agent may take too long to start and be started again.
    await eventually("all are healthy", () => areHealthy(compose), { timeoutMs: START_MS, everyMs: 1_000 });
  } catch (error) {
    const said = await compose("logs", "--no-color", "--tail", "60").catch(() => "");
    await composed[Symbol.asyncDispose]();
    throw new Error(said.slice(-20_000), { cause: error });
  }
  return composed;
}

async function areHealthy(compose: Composed["compose"]): Promise<boolean> {
  const all = (await compose("ps", "--all", "--quiet")).split("\n").filter(Boolean);
  const states = (await docker("inspect", ...all, "--format", "{{.State.Health.Status}}")).split("\n");
  return all.length > 0 && states.every((state) => state === "healthy");
}

const CATCH_UP_MS = 50_000;
/** The others elect who leads what the lost one led. */
const ELECTED = { timeoutMs: 120_000, everyMs: 250 };
const SERVERS = ["nats-1", "nats-2", "nats-3"];

/**
 * With two of three that have everything, one more may go: a server that came back is waited for until it has all of it again. One that
 * stays behind (nats-server 2.10, when servers find each other at the same moment on a busy machine) is restarted, as an operator would.
 */
async function haveCaughtUp(fleet: Composed): Promise<void> {
  const look = (server: string) => fleet.compose("exec", "--no-TTY", server, "wget", "-q", "-O", "-", "http://127.0.0.1:8222/healthz");
  const isBehind = async (server: string) => !(await look(server).catch(() => undefined));
  const wait = (timeoutMs: number) =>
    eventually("all servers have everything", () => Promise.all(SERVERS.map(look)), { timeoutMs, everyMs: 1_000 });
  try {
    await wait(CATCH_UP_MS);
  } catch {
    for (const server of SERVERS) if (await isBehind(server)) await fleet.compose("restart", server);
    await wait(CATCH_UP_MS).catch(async (error: unknown) => {
      const said = await fleet.compose("logs", "--no-color", "--tail", "60", ...SERVERS);
      throw new Error(said.slice(-20_000), { cause: error });
    });
  }
}

/** What the doctor finds, by the name of the check. */
async function doctor(fleet: Composed): Promise<Record<string, { status: string; text: string }>> {
  const { checks } = JSON.parse(await fleet.navvy("doctor", "-o", "json")) as { checks: { id: string; status: string; text: string }[] };
  return Object.fromEntries(checks.map(({ id, ...check }) => [id, check]));
}

describe("compose.yaml", () => {
  let fleet: Composed;
  beforeAll(async () => {
    fleet = await start("docker/compose.yaml", { NATS_PORT: "14222" });
  }, START_MS + 60_000);
  afterAll(() => fleet?.[Symbol.asyncDispose]());

  test("the doctor finds all in order but for what he can not ask of a server", async () => {
    const checks = await doctor(fleet);
    const complaints = Object.entries(checks).filter(([, { status }]) => status !== "ok");
    // Whether what was acknowledged is on the disk: he goes by the number of copies.
    expect(complaints.map(([id]) => id)).toEqual(["durability"]);
    expect(checks["agents"]?.text).toContain("3 up");
  });

  test("a task runs as a process of an agent's container, and one with an image in a container beside it", async () => {
    expect(await fleet.navvy("run", "--", "sh", "-c", "echo plain on $NAVVY_AGENT")).toMatch(/plain on agent-[12]/);
    const contained = await fleet.navvy("run", "--image", BASE_IMAGE, "--", "sh", "-c", "echo contained on $NAVVY_AGENT");
    expect(contained).toMatch(/contained on agent-[12]/);
  });

  test("a controller runs on the agent for services and has tasks run by the others", async () => {
    const script = 'echo on $NAVVY_AGENT; navvy run -- echo "of a controller"';
    const said = await fleet.navvy("run", "-q", "services", "--", "sh", "-c", script);
    expect(said).toContain("on services");
    expect(said).toContain("of a controller");
  });

  test("an agent that is stopped finishes what it runs", async () => {
    const script = "while [ ! -e /var/lib/navvy/go ]; do sleep 0.2; done; echo end";
    const id = (await fleet.navvy("run", "--detach", "--quiet", "--", "sh", "-c", script)).trim();
    const { agent } = await inTime("it runs", async () => (await fleet.task(id)).owner);
    const stopped = fleet.compose("stop", agent);
    await inTime("the agent drains", async () => (await fleet.compose("logs", agent)).includes("finishing what runs"));
    await writeFile(join(fleet.workDir, "go"), "");
    await stopped;
    await fleet.compose("up", "--no-build", "--detach", "--wait", agent);
    expect(await fleet.task(id)).toMatchObject({ status: "completed", attempt: 1 });
  });
});

describe("compose.cluster.yaml", () => {
  let fleet: Composed;
  beforeAll(async () => {
    fleet = await start("docker/compose.cluster.yaml", { NATS_PORT_1: "24222", NATS_PORT_2: "24223", NATS_PORT_3: "24224" });
  }, START_MS + 60_000);
  afterAll(() => fleet?.[Symbol.asyncDispose]());

  test("the doctor finds everything in order, kept three times", async () => {
    const checks = await doctor(fleet);
    expect(Object.entries(checks).filter(([, { status }]) => status !== "ok")).toEqual([]);
    expect(checks["durability"]?.text).toBe("3 replicas");
  });

  test.each(SERVERS)("without %s tasks run on", { timeout: 400_000 }, async (server) => {
    await haveCaughtUp(fleet);
    await fleet.compose("kill", server);
    try {
      // The others elect who leads what the lost one led: meanwhile a client may be told to come again.
      const said = await eventually(
        "a task runs",
        () => fleet.navvy("run", "--timeout", "30s", "--", "echo", `without ${server}`),
        ELECTED,
      );
      expect(said).toContain(`without ${server}`);
    } finally {
      await fleet.compose("up", "--no-build", "--no-recreate", "--detach", server);
    }
  });
});
