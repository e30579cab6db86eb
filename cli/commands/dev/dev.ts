import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { type Agent, startAgent } from "../../../agent/index.js";
import { connect, type EmbeddedServer, isNavvyError, NavvyError, startServer } from "../../../broker/index.js";
import type { Call, Handler } from "../../call.js";
import { dataFolder } from "../../data-folder.js";
import { EXIT } from "../../exit-codes.js";
import { describeError } from "../../output/errors.js";
import { size } from "../../output/quantities.js";
import { count, paint } from "../../output/words.js";
import { interrupted } from "../../signals.js";
import { agentLog, defaultAgentName } from "../agent/start.js";
import type { DevOptions } from "../dev.js";

/** `navvy dev`: a server, its streams and an agent in this one process, until Ctrl-C. */
export const dev: Handler<[], DevOptions> = async (call) => {
  const dir = resolve(call.options.data ?? join(dataFolder(process.env), "dev"));
  // Listened to from the start, so that a Ctrl-C during the start leaves nothing behind either.
  const signal = interrupted();
  if (call.options.fresh) await rm(dir, { recursive: true, force: true });
  const server = await startDevServer(call, dir);
  if (server === undefined) return EXIT.unreachable;
  const agents: Agent[] = [];
  try {
    await makeStreams(call, server);
    for (const name of agentNames(call.options)) agents.push(await startDevAgent(call, { name, server, dir }));
    sayHowToGoOn(call, server);
    await Promise.race([signal, server.exited]);
  } finally {
    call.out.talk("\nstopping; the data stays");
    await Promise.allSettled(agents.map((agent) => agent.stop({ now: true })));
    await server.stop();
  }
  return EXIT.ok;
};

/** Undefined when there is none to start, which has been told by then. */
async function startDevServer(call: Call<DevOptions>, dir: string): Promise<EmbeddedServer | undefined> {
  let from = "";
  try {
    const server = await startServer({ storeDir: join(dir, "nats"), port: call.options.port, say: (line) => (from = line) });
    ok(call, from || `nats-server ${server.version}`, server.url);
    call.out.talk(paint("dim", `  JetStream in ${server.storeDir}`, process.stderr));
    return server;
  } catch (error) {
    if (!isNavvyError(error, "setup_failed")) throw error;
    process.stderr.write(`${describeError(withPortFlag(error, call.options.port))}\n`);
    return undefined;
  }
}

/** A taken port is left with this command's own flag. */
function withPortFlag(error: NavvyError, port: number): NavvyError {
  if (error.detail?.["code"] !== "EADDRINUSE") return error;
  const fix = [`navvy dev --port ${port + 1}`, ...error.fix.filter((line) => line !== "choose another port")];
  return new NavvyError(error.code, error.message, { fix, ...(error.why === undefined ? {} : { why: error.why }), cause: error });
}

async function makeStreams(call: Call<DevOptions>, server: EmbeddedServer): Promise<void> {
  await using navvy = await connect({ servers: server.url, clientName: "navvy dev" });
  for (const queue of ["default", "services"]) await navvy.queues.ensureLane({ queue, class: "normal", shape: "cpu" });
  ok(call, "streams and buckets are there", `namespace ${navvy.bus.subjects.namespace}`);
}

function agentNames(options: DevOptions): string[] {
  if (!options.agent) return [];
  const name = defaultAgentName();
  return Array.from({ length: options.agents }, (_, i) => (i === 0 ? name : `${name}-${i + 1}`));
}

async function startDevAgent(
  call: Call<DevOptions>,
  { name, server, dir }: { name: string; server: EmbeddedServer; dir: string },
): Promise<Agent> {
  const connection = { servers: server.url, clientName: `navvy agent ${name}`, actor: name, wait: true };
  const log = agentLog(name, { format: "json", level: "warn", fd: 2 });
  const agent = await startAgent({
    connection,
    name,
    queues: ["default"],
    order: "strict",
    gpus: "auto",
    workDir: join(dir, "agents"),
    log,
  });
  await using navvy = await connect({ servers: server.url, clientName: "navvy dev" });
  const { record } = await navvy.fleet.agent(name);
  const gpus = record.gpus.length ? `, ${count(record.gpus.length, "GPU")}` : "";
  ok(call, `agent ${name}: ${record.cpus} cpu, ${size(record.memoryBytes)}${gpus}`, `queues ${record.queues.join(", ")}`);
  return agent;
}

function sayHowToGoOn(call: Call<DevOptions>, server: EmbeddedServer): void {
  call.out.talk("");
  if (server.port !== 4222) call.out.talk(`In other terminals:  export NAVVY_SERVER=${server.url}`);
  call.out.talk("Try:  navvy run -- echo hello              stop: Ctrl-C (the data stays; --fresh wipes it)");
}

function ok(call: Call<DevOptions>, what: string, detail: string): void {
  call.out.talk(`${paint("green", "✔", process.stderr)} ${what.padEnd(46)} ${detail}`);
}
