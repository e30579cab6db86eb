import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { NavvyError } from "../protocol/index.js";

/** Where to connect and with what; every value with the place it came from. */
export interface ConnectionSettings {
  servers: Sourced<string>;
  context?: Sourced<string>;
  namespace?: Sourced<string>;
  creds?: Sourced<string>;
  user?: Sourced<string>;
  password?: Sourced<string>;
  token?: Sourced<string>;
  nkey?: Sourced<string>;
  tlsCert?: Sourced<string>;
  tlsKey?: Sourced<string>;
  tlsCa?: Sourced<string>;
  domain?: Sourced<string>;
  inboxPrefix?: Sourced<string>;
}
export interface Sourced<T> {
  value: T;
  from: string;
}
export type SettingName = keyof ConnectionSettings;
export type SettingValues = Partial<Record<SettingName, string>>;

const VARIABLES: Record<SettingName, string> = {
  servers: "NAVVY_SERVER",
  context: "NAVVY_CONTEXT",
  namespace: "NAVVY_NAMESPACE",
  creds: "NAVVY_CREDS",
  user: "NAVVY_USER",
  password: "NAVVY_PASSWORD",
  token: "NAVVY_TOKEN",
  nkey: "NAVVY_NKEY",
  tlsCert: "NAVVY_TLS_CERT",
  tlsKey: "NAVVY_TLS_KEY",
  tlsCa: "NAVVY_TLS_CA",
  domain: "NAVVY_DOMAIN",
  inboxPrefix: "NAVVY_INBOX_PREFIX",
};

/** The NATS CLI's names of the same things, in its context files (NATS architecture decision record 21). */
const CONTEXT_KEYS: Partial<Record<SettingName, string>> = {
  servers: "url",
  creds: "creds",
  user: "user",
  password: "password",
  token: "token",
  nkey: "nkey",
  tlsCert: "cert",
  tlsKey: "key",
  tlsCa: "ca",
  domain: "jetstream_domain",
  inboxPrefix: "inbox_prefix",
};

export const DEFAULT_SERVER = "nats://127.0.0.1:4222";

/**
 * Settles each setting by precedence: given > environment > NATS CLI context > default.
 *
 * A server given directly means that the *selected* context is left alone; a context named by hand is always read.
 * @throws NavvyError not_found (context), invalid_argument (unreadable context)
 */
export function resolveSettings(given: SettingValues, env: Record<string, string | undefined>): ConnectionSettings {
  const settings: Partial<ConnectionSettings> = {};
  for (const name of Object.keys(VARIABLES) as SettingName[]) {
    const value = given[name];
    const variable = env[VARIABLES[name]];
    if (value !== undefined) settings[name] = { value, from: `--${FLAGS[name] ?? name}` };
    else if (variable) settings[name] = { value: variable, from: VARIABLES[name] };
  }
  const context = settings.context ?? (settings.servers ? undefined : selectedContext(env));
  if (context) {
    settings.context = context;
    fillFromContext(settings, context.value, env);
  }
  settings.servers ??= { value: DEFAULT_SERVER, from: "default" };
  return settings as ConnectionSettings;
}

const FLAGS: Partial<Record<SettingName, string>> = {
  servers: "server",
  tlsCert: "tls-cert",
  tlsKey: "tls-key",
  tlsCa: "tls-ca",
  inboxPrefix: "inbox-prefix",
};

function contextFolder(env: Record<string, string | undefined>): string {
  return join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), ".config"), "nats");
}

/** The context that the NATS CLI has selected, if any. */
function selectedContext(env: Record<string, string | undefined>): Sourced<string> | undefined {
  const file = join(contextFolder(env), "context.txt");
  try {
    const value = readFileSync(file, "utf8").trim();
    return value ? { value, from: file } : undefined;
  } catch {
    return undefined; // no NATS CLI here: nothing is selected
  }
}

function fillFromContext(settings: Partial<ConnectionSettings>, name: string, env: Record<string, string | undefined>): void {
  const file = join(contextFolder(env), "context", `${name}.json`);
  const content = readContext(file, name);
  for (const [setting, key] of Object.entries(CONTEXT_KEYS) as [SettingName, string][]) {
    const value = content[key];
    if (typeof value === "string" && value !== "") settings[setting] ??= { value: reference(value, env, file), from: file };
  }
}

function readContext(file: string, name: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new NavvyError("not_found", `NATS context ${JSON.stringify(name)} does not exist (${file})`, {
      cause,
      fix: "see what there is: nats context ls",
    });
  }
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new NavvyError("invalid_argument", `NATS context file ${file} is not JSON`, { cause, why: (cause as Error).message });
  }
}

/** The NATS CLI lets a value stand elsewhere: `env://NAME`. Other schemes need programs that may not be here. */
function reference(value: string, env: Record<string, string | undefined>, file: string): string {
  const [, scheme, rest] = /^(env|op|nsc):\/\/(.+)$/.exec(value) ?? [];
  if (scheme === undefined || rest === undefined) return value.replace(/^~(?=\/)/, env.HOME || homedir());
  const found = scheme === "env" ? env[rest] : undefined;
  if (found !== undefined) return found;
  throw new NavvyError("invalid_argument", `${file} refers to ${value}, which can not be read here`, {
    why: scheme === "env" ? `the environment has no ${rest}` : `${scheme}:// references are not supported`,
    fix: "put the value or an env:// reference into the context",
  });
}
