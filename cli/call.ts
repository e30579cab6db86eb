import type { Command } from "commander";
import type { Navvy } from "../broker/index.js";
import { type Format, Output } from "./output/output.js";

/** Flags that every command knows. Connection settings left out come from the environment and the NATS context. */
export interface GlobalOptions {
  server?: string;
  context?: string;
  namespace?: string;
  creds?: string;
  user?: string;
  password?: string;
  token?: string;
  nkey?: string;
  tlsCert?: string;
  tlsKey?: string;
  tlsCa?: string;
  domain?: string;
  inboxPrefix?: string;
  replicas?: string;
  output: Format;
  json?: boolean;
  quiet?: boolean;
  verbose?: boolean;
}

/** One run of one command: its flags, where to print, and the fleet. */
export interface Call<O = unknown> {
  options: O & GlobalOptions;
  out: Output;
  /** Connects on first use; the connection is closed when the command is over. */
  navvy(): Promise<Navvy>;
}

/** What a command does; a number is its exit code. */
export type Handler<A extends unknown[] = [], O = unknown> = (call: Call<O>, ...args: A) => Promise<number | void>;

/** Makes a commander action of a handler that is loaded only when it is asked for, so that `navvy --help` stays fast. */
export function act<A extends unknown[], O>(load: () => Promise<Handler<A, O>>) {
  return async (...params: unknown[]): Promise<void> => {
    const command = params.at(-1) as Command;
    const options = command.optsWithGlobals() as O & GlobalOptions;
    const handler = await load();
    let connecting: Promise<Navvy> | undefined;
    const call: Call<O> = { options, out: outputOf(options), navvy: () => (connecting ??= connectWith(options)) };
    try {
      process.exitCode = (await handler(call, ...(command.processedArgs as A))) ?? 0;
    } finally {
      // A connection that was never made is the handler's error, told already.
      await connecting?.then((navvy) => navvy.close()).catch(() => undefined);
    }
  };
}

/** How a command prints, by its global flags. */
export function outputOf(options: Pick<GlobalOptions, "output" | "json" | "quiet">): Output {
  return new Output({ format: options.json ? "json" : options.output, isQuiet: options.quiet ?? false });
}

/** The flags that say how to reach NATS, in the broker's words. */
export function settingsOf(options: GlobalOptions): Record<string, string> {
  const { server, context, namespace, creds, user, password, token, nkey, tlsCert, tlsKey, tlsCa, domain, inboxPrefix } = options;
  const given = { servers: server, context, namespace, creds, user, password, token, nkey, tlsCert, tlsKey, tlsCa, domain, inboxPrefix };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Record<string, string>;
}

/** How to connect, and what to make there. */
export function connectionOf(options: GlobalOptions): Record<string, string> & { replicas?: number } {
  return Object.assign(settingsOf(options), options.replicas === undefined ? {} : { replicas: Number(options.replicas) });
}

async function connectWith(options: GlobalOptions): Promise<Navvy> {
  const { connect } = await import("../broker/index.js");
  return connect({ ...connectionOf(options), clientName: "navvy cli" });
}
