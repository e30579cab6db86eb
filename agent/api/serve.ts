import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Logger } from "pino";
import { NavvyError } from "../../protocol/index.js";
import { discardBody } from "./body.js";
import { type ApiAttempt, type Call, findRoute, type Route, sendJson } from "./call.js";
import { failureBody, failureOf, statusOf } from "./failures.js";
import type { ApiLimits } from "./limits.js";

export interface ServeOptions {
  limits: ApiLimits;
  log: Pick<Logger, "error">;
  /** Whose the request is: its path without what told it. @throws NavvyError permission_denied */
  identify: (socket: Socket, path: string[]) => { attempt: ApiAttempt; path: string[] };
  routes: readonly Route[];
}

const MAX_HEAD_BYTES = 16 * 1024;
const DISCARD_MS = 2_000;

/** The HTTP server behind all doors of an agent; it does not listen itself. */
export function httpServer(options: ServeOptions): Server {
  const { limits } = options;
  const busy = new Map<ApiAttempt, number>();
  const server = createServer({ maxHeaderSize: MAX_HEAD_BYTES, keepAliveTimeout: limits.keepMs }, (request, response) => {
    const { socket } = request;
    socket.emit("navvy:request");
    response.once("close", () => socket.emit("navvy:answered"));
    answer(options, busy, { request, response }).catch((error: unknown) => {
      options.log.error({ err: error }, "an answer could not be sent");
      response.destroy();
    });
  });
  server.timeout = limits.idleMs;
  server.on("clientError", (_error, socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    else socket.destroy();
  });
  return server;
}

interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
}

async function answer(options: ServeOptions, busy: Map<ApiAttempt, number>, { request, response }: Exchange): Promise<void> {
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const url = splitUrl(request.url ?? "/");
  try {
    const { attempt, path } = options.identify(request.socket, url.path);
    const under = (busy.get(attempt) ?? 0) + 1;
    busy.set(attempt, under);
    response.once("close", () => leave(busy, attempt));
    if (under > options.limits.connections)
      throw new NavvyError("timeout", `more than ${options.limits.connections} requests of this task are under way`);
    const call: Call = {
      ...url,
      path,
      request,
      response,
      attempt,
      limits: options.limits,
      method: request.method ?? "GET",
      signal: gone.signal,
    };
    const body = await dispatch(options.routes, call);
    if (body) sendJson(response, 200, body);
  } catch (error) {
    refuse(options, { request, response }, error);
  }
}

function leave(busy: Map<ApiAttempt, number>, attempt: ApiAttempt): void {
  const left = (busy.get(attempt) ?? 1) - 1;
  if (left > 0) busy.set(attempt, left);
  else busy.delete(attempt);
}

async function dispatch(routes: readonly Route[], call: Call): Promise<object | undefined> {
  const found = findRoute(routes, call.method, call.path);
  if ("act" in found) return found.act(call, found.names);
  const what = `${call.method} /${call.path.join("/")}`;
  if (found.allowed.length === 0)
    throw new NavvyError("not_found", `there is no ${what}`, { fix: "docs/protocol.md has the list of requests" });
  call.response.setHeader("allow", found.allowed.join(", "));
  sendJson(call.response, 405, failureBody(new NavvyError("invalid_argument", `${what}: only ${found.allowed.join(", ")}`)));
  return undefined;
}

function refuse({ log }: ServeOptions, { request, response }: Exchange, error: unknown): void {
  const failure = failureOf(error);
  if (failure.code === "internal")
    log.error({ err: error, path: request.url?.replace(/^\/[A-Za-z0-9_-]{32}\//, "/…/") }, "a request failed");
  if (response.destroyed || response.headersSent) return void response.destroy();
  if (!request.complete) response.setHeader("connection", "close");
  sendJson(response, statusOf(failure), failureBody(failure));
  discardBody(request, DISCARD_MS);
}

/** @throws NavvyError invalid_argument */
function splitUrl(url: string): { path: string[]; query: URLSearchParams } {
  const at = url.indexOf("?");
  const path = (at < 0 ? url : url.slice(0, at)).split("/").slice(1);
  return { path: path.map(decoded), query: new URLSearchParams(at < 0 ? "" : url.slice(at + 1)) };
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // not what it seemed to be: taken as it stands
  }
}
