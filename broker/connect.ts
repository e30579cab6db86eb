import { readFileSync } from "node:fs";
import { hostname, userInfo } from "node:os";
import {
  type ConnectionOptions,
  credsAuthenticator,
  connect as dial,
  ErrorCode,
  Events,
  type NatsConnection,
  nkeyAuthenticator,
} from "nats";
import { Assets, NavvyError } from "../protocol/index.js";
import type { Bus } from "./bus.js";
import { type ConnectionSettings, resolveSettings, type SettingValues } from "./context.js";
import { denied, isNats, unreachable } from "./nats-error.js";
import { Trouble } from "./trouble.js";

export interface ConnectOptions extends SettingValues {
  /** What the server shows this connection as. */
  clientName?: string;
  /** Who makes the changes, as records and events say it; default `user@host`. */
  actor?: string;
  /** Keep trying when the server is not there yet (an agent), instead of failing (a command). */
  wait?: boolean;
  /** Told in a sentence when it has to wait, for the server or for room in its store. */
  onWaiting?: (sentence: string) => void;
  env?: Record<string, string | undefined>;
}

/** Answers that come later than this are read back and asked for again. */
const REQUEST_TIMEOUT_MS = 2_000;

/** The live connection behind a `Bus`, with its end. */
export interface OpenBus extends Bus {
  close(): Promise<void>;
}

/**
 * Connects with the options that a long-lived daemon needs; the client's defaults give up after ten tries and notice a
 * frozen server only after minutes.
 * @throws NavvyError nats_unreachable, permission_denied, not_found (context), unsupported_server
 */
export async function openBus(options: ConnectOptions = {}): Promise<OpenBus> {
  const settings = resolveSettings(options, options.env ?? process.env);
  const source = `${settings.servers.value} (from ${settings.servers.from})`;
  const nc = await reach(settings, options, source);
  refuseUnsafeCluster(nc, source);
  const domain = settings.domain?.value;
  const jsOptions = { timeout: REQUEST_TIMEOUT_MS, ...(domain ? { domain } : {}) };
  const assets = new Assets(settings.namespace?.value);
  const listeners = new Set<() => void>();
  void followStatus(nc, listeners); // the client never ends this iterator: it goes with the connection
  return {
    nc,
    js: nc.jetstream(jsOptions),
    jsm: await nc.jetstreamManager({ ...jsOptions, checkAPI: false }),
    assets,
    subjects: assets.subjects,
    source,
    domain,
    actor: options.actor ?? defaultActor(),
    trouble: new Trouble(options.onWaiting),
    onReconnect: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: async () => {
      listeners.clear();
      await nc.close();
    },
  };
}

const FIRST_RETRY_MS = 1_000;

/** The first connection. With `wait` it is tried until the server is there; credentials that are refused end it at once. */
async function reach(settings: ConnectionSettings, options: ConnectOptions, source: string): Promise<NatsConnection> {
  for (let tries = 0; ; tries++) {
    try {
      return await dial(clientOptions(settings, options));
    } catch (error) {
      if (isNats(error, ...REFUSED)) throw denied("connect", source, error);
      if (!options.wait) throw unreachable(source, error);
      if (tries === 0) options.onWaiting?.(`no NATS server answers at ${source}: trying again until one does`);
      await new Promise((resolve) => setTimeout(resolve, FIRST_RETRY_MS));
    }
  }
}

const REFUSED = [ErrorCode.AuthorizationViolation, ErrorCode.AuthenticationExpired, ErrorCode.BadAuthentication, ErrorCode.BadCreds];

function clientOptions(settings: ConnectionSettings, options: ConnectOptions): ConnectionOptions {
  const inboxPrefix = settings.inboxPrefix?.value;
  return {
    servers: settings.servers.value.split(",").map((server) => server.trim()),
    name: options.clientName ?? "navvy",
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 250,
    ignoreAuthErrorAbort: true,
    pingInterval: 5_000,
    maxPingOut: 2,
    timeout: 5_000,
    noAsyncTraces: true,
    ...(inboxPrefix ? { inboxPrefix } : {}),
    ...authentication(settings),
    ...tls(settings),
  };
}

function authentication(settings: ConnectionSettings): ConnectionOptions {
  if (settings.creds) return { authenticator: credsAuthenticator(readSecret(settings.creds.value, "credentials")) };
  if (settings.nkey) return { authenticator: nkeyAuthenticator(readSecret(settings.nkey.value, "nkey seed")) };
  if (settings.token) return { token: settings.token.value };
  if (settings.user) return { user: settings.user.value, pass: settings.password?.value ?? "" };
  return {};
}

function readSecret(file: string, what: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new NavvyError("not_found", `${what} file ${file} can not be read`, { cause, why: (cause as Error).message });
  }
}

function tls(settings: ConnectionSettings): ConnectionOptions {
  if (!settings.tlsCa && !settings.tlsCert) return {};
  return {
    tls: {
      ...(settings.tlsCa ? { caFile: settings.tlsCa.value } : {}),
      ...(settings.tlsCert ? { certFile: settings.tlsCert.value } : {}),
      ...(settings.tlsKey ? { keyFile: settings.tlsKey.value } : {}),
    },
  };
}

async function followStatus(nc: NatsConnection, listeners: Set<() => void>): Promise<void> {
  for await (const status of nc.status()) {
    if (status.type === Events.Reconnect) for (const listener of listeners) listener();
  }
}

/** On clustered servers before 2.9.21 two concurrent compare-and-sets can both win (nats-server commit 244dda809). */
function refuseUnsafeCluster(nc: NatsConnection, source: string): void {
  const { version = "0.0.0", cluster } = nc.info ?? {};
  if (!cluster || !isOlder(version, [2, 9, 21])) return;
  void nc.close();
  throw new NavvyError("unsupported_server", `${source} is a cluster of nats-server ${version}`, {
    why: "before 2.9.21 two concurrent compare-and-sets in a cluster can both win, so a task could run twice",
    fix: "upgrade the servers to 2.9.21 or newer",
  });
}

export function isOlder(version: string, than: [number, number, number]): boolean {
  const parts = version.split(/[.-]/).map(Number);
  for (const [i, wanted] of than.entries()) {
    const part = parts[i] ?? 0;
    if (part !== wanted) return part < wanted;
  }
  return false;
}

export function defaultActor(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    return `uid${process.getuid?.() ?? "?"}@${hostname()}`; // a user id without a name, as in containers
  }
}
