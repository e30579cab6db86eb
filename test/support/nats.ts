import { type EmbeddedServer, findServer, startServer } from "../../broker/server/index.js";
import { isNavvyError } from "../../protocol/index.js";
import { tempFolder } from "./folder.js";

/** What kind of server a test needs. */
export interface StartNatsOptions {
  /** Default: a folder of the test's own. */
  storeDir?: string;
  /** Default: a free one, the same after each restart. */
  port?: number;
  /** Default true. */
  jetstream?: boolean;
  /** More configuration in the server's own format. */
  config?: string;
  /** Default: `NAVVY_TEST_NATS`, else the one that is found. */
  binary?: string;
}

/** A real server that a test can break in named ways. */
export interface Nats extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  /** Of the process that runs now: another one after a restart. */
  readonly pid: number;
  readonly version: string;
  readonly storeDir: string;
  /** Sends a signal. For SIGKILL and SIGTERM it is over once the process is gone. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same port and store; ends it first when it runs. */
  restart(): Promise<void>;
  /** More configuration than before, or other, from its next restart on. */
  reconfigure(config: string): void;
  /** Freezes it: connections stay open and nothing answers. */
  pause(): void;
  /** Thaws it. */
  resume(): void;
  stop(): Promise<void>;
}

/** Starts a server for one test: `await using nats = await startNats()`. */
export async function startNats(options: StartNatsOptions = {}): Promise<Nats> {
  const folder = await tempFolder();
  const binary = options.binary ?? process.env.NAVVY_TEST_NATS ?? (await findServer()).path;
  const settled: StartNatsOptions & { storeDir: string } = { ...options, binary, storeDir: options.storeDir ?? folder.path };
  let server = await startSomewhere(settled);
  let isEnded = false;

  function signal(name: NodeJS.Signals): void {
    if (!isEnded) process.kill(server.pid, name);
  }

  async function end(): Promise<void> {
    // A frozen server can not end politely.
    signal("SIGCONT");
    await server.stop();
  }

  const track = (): void => {
    const current = server;
    isEnded = false;
    void current.exited.then(() => {
      isEnded ||= current === server;
    });
  };
  track();

  async function stop(): Promise<void> {
    await end();
    await folder[Symbol.asyncDispose]();
  }

  return {
    url: server.url,
    port: server.port,
    storeDir: server.storeDir,
    version: server.version,
    get pid() {
      return server.pid;
    },
    kill: async (name) => {
      signal(name);
      if (name === "SIGKILL" || name === "SIGTERM") await server.exited;
    },
    restart: async () => {
      await end();
      server = await startServer({ ...settled, port: server.port });
      track();
    },
    reconfigure: (config) => {
      settled.config = config;
    },
    pause: () => signal("SIGSTOP"),
    resume: () => signal("SIGCONT"),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/**
 * A port below the range from which the system takes ports for connections: between a kill and a restart nobody, not
 * even a client that tries to reconnect, can be given it.
 */
async function startSomewhere(options: StartNatsOptions): Promise<EmbeddedServer> {
  for (let tries = 0; ; tries++) {
    try {
      return await startServer({ ...options, port: options.port ?? 15_000 + Math.floor(Math.random() * 15_000) });
    } catch (error) {
      const isTaken = isNavvyError(error, "setup_failed") && error.detail.code === "EADDRINUSE";
      if (!isTaken || options.port !== undefined || tries === 20) throw error;
    }
  }
}
