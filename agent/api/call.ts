import type { IncomingMessage, ServerResponse } from "node:http";
import type { Claim, Navvy } from "../../broker/index.js";
import type { Control } from "../task/control.js";
import type { AttemptFolder } from "../task/folder.js";
import type { Appender } from "./appender.js";
import type { ApiLimits } from "./limits.js";

/** The attempt that a request comes from: all that its task may ask of and do to. */
export interface ApiAttempt {
  claim: Claim;
  agent: string;
  folder: AttemptFolder;
  isContained: boolean;
  /** Whether it may drive other tasks. */
  isController: boolean;
  navvy: Pick<Navvy, "tasks" | "artifacts" | "metrics" | "journals">;
  control: Control;
  /** For the agent's log: a request could not be answered by a fault of ours. */
  onFault: (error: unknown) => void;
  /** Its reports. */
  events: Appender;
  /** What MLflow's clients are told again; made when first needed. */
  mlflow?: Promise<Lasting>;
  /** The last that a trainer has told. */
  trainer?: object;
}

/** Something that is written down late, at the latest when it is closed. */
export interface Lasting {
  close(): Promise<void>;
}

/** One request. */
export interface Call {
  method: string;
  /** Decoded, in segments; without what told the attempt. */
  path: string[];
  query: URLSearchParams;
  request: IncomingMessage;
  response: ServerResponse;
  attempt: ApiAttempt;
  limits: ApiLimits;
  /** Fires when nobody waits for the answer any more. */
  signal: AbortSignal;
}

/** What an act gives back is sent as JSON; undefined: it has answered by itself. */
export type Act = (call: Call, names: Record<string, string>) => Promise<object | undefined>;
export interface Route {
  method: string;
  /** `:name` takes one segment, `*name` at the end all that are left. */
  path: string;
  act: Act;
}

/** For a route that takes every method. */
export const ANY = "*";

/** The route of a request, or the methods that its path knows. */
export function findRoute(
  routes: readonly Route[],
  method: string,
  path: readonly string[],
): { act: Act; names: Record<string, string> } | { allowed: string[] } {
  const allowed: string[] = [];
  for (const route of routes) {
    const names = match(route.path.split("/"), path);
    if (names === undefined) continue;
    if (route.method === method || route.method === ANY) return { act: route.act, names };
    allowed.push(route.method);
  }
  return { allowed };
}

function match(pattern: string[], path: readonly string[]): Record<string, string> | undefined {
  const names: Record<string, string> = {};
  for (const [i, part] of pattern.entries()) {
    if (part.startsWith("*") && i < path.length) return { ...names, [part.slice(1)]: path.slice(i).join("/") };
    const segment = path[i];
    if (segment === undefined || (!part.startsWith(":") && part !== segment)) return undefined;
    if (part.startsWith(":")) names[part.slice(1)] = segment;
  }
  return pattern.length === path.length ? names : undefined;
}

/** Answers with JSON. */
export function sendJson(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent || response.destroyed) return void response.destroy();
  const text = JSON.stringify(body);
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) }).end(text);
}
