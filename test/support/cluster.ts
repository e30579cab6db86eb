import { createServer } from "node:net";
import { type ClusterInfo, connect, type StreamAPI } from "nats";
import { eventually } from "./eventually.js";
import { type Nats, startNats } from "./nats.js";
import { findNats } from "./nats-versions.js";

/** What kind of cluster a test needs. */
export interface StartClusterOptions {
  /** Default 3. */
  size?: number;
  /** Default: `NAVVY_TEST_NATS` when it is new enough for a cluster, else one that is fetched. */
  binary?: string;
  /** What each server may keep on disk, as its configuration says it. Default: what the server takes by itself. */
  maxStore?: string;
}

/** Real servers with routes between them, broken by name: `a`, `b`, `c`. */
export interface Cluster extends AsyncDisposable {
  /** All of them, separated by commas: what `NAVVY_SERVER` takes. */
  readonly url: string;
  readonly version: string;
  readonly names: string[];
  server(name: string): Nats;
  /** The name of the server that leads JetStream itself. */
  metaLeader(): Promise<string>;
  /** The name of the server that leads a stream. */
  streamLeader(stream: string): Promise<string>;
  /** Resolves when JetStream has a leader and every replica of every stream has caught up. */
  healthy(timeoutMs?: number): Promise<void>;
}

/** The first server in which two concurrent compare-and-sets can not both win in a cluster. */
const CLUSTERED = "2.9.21+";
const HEALTHY_MS = 60_000;

/** A port that another test took between our look and the server's leaves a server outside: then all of them are started anew. */
const FORMED_MS = 20_000;
const TRIES = 3;

/** Starts a cluster for one test: `await using cluster = await startCluster()`. */
export async function startCluster(options: StartClusterOptions = {}): Promise<Cluster> {
  for (let tries = 1; ; tries++) {
    const cluster = await startServers(options);
    try {
      await cluster.healthy(FORMED_MS);
      return cluster;
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      if (tries === TRIES) throw error;
    }
  }
}

async function startServers({ size = 3, binary, maxStore }: StartClusterOptions): Promise<Cluster> {
  const program = binary ?? (await findNats(CLUSTERED));
  const names = ["a", "b", "c", "d", "e"].slice(0, size);
  const ports = await freePorts(3 * size);
  const routes = ports.slice(size, 2 * size);
  const monitors = ports.slice(2 * size);
  const start = (name: string, i: number) =>
    startNats({
      binary: program,
      port: ports[i] as number,
      config: clusterConfig({ name, listen: routes[i], monitor: monitors[i], routes, maxStore }),
    });
  const servers = new Map<string, Nats>();
  const stop = async () => void (await Promise.all([...servers.values()].map((server) => server.stop())));
  try {
    await Promise.all(names.map(async (name, i) => servers.set(name, await start(name, i))));
  } catch (error) {
    await stop();
    throw error;
  }
  const server = (name: string) => servers.get(name) as Nats;
  const url = names.map((name) => server(name).url).join(",");
  const ask = <T>(look: (streams: StreamAPI) => Promise<T>) => onStreams(url, look);
  return {
    url,
    version: server("a").version,
    names,
    server,
    metaLeader: () => eventually("JetStream has a leader", async () => (await metaViews(monitors))[0]?.leader),
    streamLeader: (stream) =>
      eventually(`${stream} has a leader`, () => ask(async (streams) => (await streams.info(stream)).cluster?.leader)),
    healthy: async (timeoutMs = HEALTHY_MS) => {
      const isHealthy = async () =>
        (await metaViews(monitors)).some((view) => hasCaughtUp(view, size)) && (await ask(everyStreamHasCaughtUp));
      await eventually("every replica has caught up", isHealthy, { timeoutMs, everyMs: 250 });
    },
    [Symbol.asyncDispose]: stop,
  };
}

interface ClusterMember {
  name: string;
  listen: number | undefined;
  monitor: number | undefined;
  routes: number[];
  maxStore: string | undefined;
}

function clusterConfig({ name, listen, monitor, routes, maxStore }: ClusterMember): string {
  const peers = routes
    .filter((port) => port !== listen)
    .map((port) => `"nats://127.0.0.1:${port}"`)
    .join(", ");
  return `
    server_name: ${name}
    http: "127.0.0.1:${monitor}"
    cluster { name: navvy, listen: "127.0.0.1:${listen}", routes: [${peers}] }
    ${maxStore === undefined ? "" : `jetstream { max_file_store: ${maxStore} }`}
  `;
}

/** JetStream's own group as each server sees it: only the leader knows how the others do. */
async function metaViews(monitors: number[]): Promise<ClusterInfo[]> {
  const answers = await Promise.allSettled(
    monitors.map(async (port) => {
      const answer = await fetch(`http://127.0.0.1:${port}/jsz`, { signal: AbortSignal.timeout(1_000) });
      return ((await answer.json()) as { meta_cluster?: ClusterInfo }).meta_cluster;
    }),
  );
  return answers.flatMap((answer) => (answer.status === "fulfilled" && answer.value?.leader ? [answer.value] : []));
}

async function everyStreamHasCaughtUp(streams: StreamAPI): Promise<boolean> {
  for await (const { config, cluster } of streams.list()) if (!hasCaughtUp(cluster, config.num_replicas)) return false;
  return true;
}

function hasCaughtUp(cluster: ClusterInfo | undefined, size: number): boolean {
  const current = cluster?.replicas?.filter((one) => one.current && !one.offline) ?? [];
  return Boolean(cluster?.leader) && current.length === size - 1;
}

async function onStreams<T>(url: string, look: (streams: StreamAPI) => Promise<T>): Promise<T> {
  const nc = await connect({ servers: url.split(","), timeout: 2_000, reconnect: false });
  try {
    return await look((await nc.jetstreamManager({ timeout: 2_000 })).streams);
  } finally {
    await nc.close();
  }
}

/** Below the range from which the system takes ports for connections: nobody is given one between a kill and a restart. */
async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) {
    const port = 15_000 + Math.floor(Math.random() * 15_000);
    if (await isFree(port)) ports.add(port);
  }
  return [...ports];
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
