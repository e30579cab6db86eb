import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { execa, type ResultPromise } from "execa";
import { connect, type EmbeddedServer, type Navvy, runningServer, startServer, stopServer } from "../../broker/index.js";
import { packageFolder } from "./package-folder.js";

const READY_MS = 60_000;
const GRACE_MS = 10_000;
const ASK_EVERY_MS = 100;

/** A fleet on this machine: one server, two agents, and a connection to them. */
export interface LocalFleet {
  navvy: Navvy;
  server: EmbeddedServer;
  agents: AgentProcess[];
  /** Where the server and the agents keep their files. */
  folder: string;
  /** Lets go of it: what was started lives on when it is kept, else ends and leaves nothing. Calling it twice is fine. */
  close(options: { keep: boolean }): Promise<void>;
}

export interface AgentProcess {
  name: string;
  pid: number;
  logFile: string;
  child: ResultPromise;
}

/** Starts it all and waits until both agents are up. What was started is ended again when something fails. */
export async function startFleet(options: { keep: boolean; say: (line: string) => void; signal: AbortSignal }): Promise<LocalFleet> {
  const folder = await mkdtemp(join(tmpdir(), "navvy-iris-"));
  const closers: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true, maxRetries: 3 })];
  const closeAll = async () => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    const server = await startServer({ storeDir: join(folder, "nats"), detached: options.keep, say: options.say });
    closers.push(() => server.stop());
    options.say(`NATS with JetStream    ${server.url}   (nats-server ${server.version})`);
    const navvy = await connect({ servers: server.url, clientName: "navvy iris example" });
    closers.push(() => navvy.close());
    const agents = await Promise.all([
      startAgentProcess({ name: "iris-1", services: 2, url: server.url, folder }),
      startAgentProcess({ name: "iris-2", services: 0, url: server.url, folder }),
    ]);
    closers.push(() => Promise.all(agents.map((agent) => endAgent(navvy, agent))));
    await agentsUp(navvy, agents, options.signal);
    options.say("agents                 iris-1 serves default and services, iris-2 serves default; 2 slots each");
    return { navvy, server, agents, folder, close: ({ keep }) => (keep ? letGo(navvy, agents, closers) : closeAll()) };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** In a process group of its own: Ctrl-C reaches this program alone, which then ends the agents in good order. */
async function startAgentProcess(options: { name: string; services: number; url: string; folder: string }): Promise<AgentProcess> {
  const { name, services, url, folder } = options;
  const logFile = join(folder, `${name}.log`);
  const log = createWriteStream(logFile, { flags: "a" });
  await once(log, "open");
  const cli = join(packageFolder(), "dist", "cli", "main.js");
  const flags = ["--name", name, "--queue", "default", "--slots", "2", "--services", String(services), "--gpus", "none"];
  const child = execa(process.execPath, [cli, "agent", "start", ...flags, "--work-dir", join(folder, "agents"), "--server", url], {
    detached: true,
    cleanup: false,
    reject: false,
    stdin: "ignore",
    stdout: log,
    stderr: log,
    buffer: false,
  });
  log.destroy(); // the agent has a copy of the file
  return { name, pid: child.pid ?? 0, logFile, child };
}

async function agentsUp(navvy: Navvy, agents: AgentProcess[], signal: AbortSignal): Promise<void> {
  const deadline = performance.now() + READY_MS;
  for (;;) {
    const up = (await navvy.fleet.agents()).filter((agent) => agent.isUp);
    if (up.length === agents.length) return;
    signal.throwIfAborted();
    const dead = agents.find((agent) => agent.child.exitCode !== null);
    if (dead) throw new Error(`agent ${dead.name} ended with code ${dead.child.exitCode} before it was up\n${await tail(dead)}`);
    if (performance.now() > deadline)
      throw new Error(`the agents were not up after ${READY_MS / 1000} s; the log of one:\n${await tail(agents[0])}`);
    await delay(100);
  }
}

/**
 * Tells an agent to give back what runs and to leave, again until it has: one that is still starting does not hear it. A
 * signal then would leave its own children to find out by themselves.
 */
async function endAgent(navvy: Navvy, { name, child }: AgentProcess): Promise<void> {
  const timers = [setTimeout(() => child.kill("SIGTERM"), GRACE_MS), setTimeout(() => child.kill("SIGKILL"), 2 * GRACE_MS)];
  while (child.exitCode === null && child.signalCode === null) {
    await navvy.fleet.ask(name, "stop", { reason: "the example is over", now: true }).catch(() => undefined); // asked again
    await Promise.race([child, delay(ASK_EVERY_MS)]);
  }
  for (const timer of timers) clearTimeout(timer);
}

/**
 * Ends a fleet that was kept, by its folder: the agents first, which take leave of the server, then the server.
 * @returns false when none runs there
 */
export async function stopFleet(folder: string): Promise<boolean> {
  const store = join(folder, "nats");
  const server = await runningServer(store);
  if (!server) return false;
  const navvy = await connect({ servers: server.url, clientName: "navvy iris example" });
  const up = async () => (await navvy.fleet.agents()).filter((agent) => agent.isUp);
  for (const { record } of await up()) await navvy.fleet.ask(record.name, "stop", { reason: "the example is over", now: true });
  for (const deadline = performance.now() + GRACE_MS; (await up()).length > 0 && performance.now() < deadline; ) await delay(100);
  await navvy.close();
  await stopServer(store);
  await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  return true;
}

async function letGo(navvy: Navvy, agents: AgentProcess[], closers: unknown[]): Promise<void> {
  closers.splice(0);
  for (const { child } of agents) child.unref();
  await navvy.close();
}

async function tail(agent: AgentProcess | undefined): Promise<string> {
  const text = agent ? await readFile(agent.logFile, "utf8").catch(() => "") : "";
  return text.trimEnd().split("\n").slice(-10).join("\n");
}
