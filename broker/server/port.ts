import { connect, createServer } from "node:net";
import { NavvyError } from "../../protocol/index.js";

/** What a server says of itself in its first line. */
export interface Greeting {
  version: string;
  jetstream: boolean;
}

/**
 * The first line that a NATS server sends to whoever connects.
 * Undefined when nothing answers, or something that is no NATS server.
 */
export function greeting({
  host,
  port,
  timeoutMs = 1_000,
}: {
  host: string;
  port: number;
  timeoutMs?: number;
}): Promise<Greeting | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let text = "";
    const end = (answer?: Greeting): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => end());
    socket.on("error", () => end());
    socket.on("close", () => end());
    socket.on("data", (bytes) => {
      text += bytes.toString();
      if (text.includes("\n")) end(parse(text));
    });
  });
}

function parse(text: string): Greeting | undefined {
  const json = /^INFO (\{.*\})\s*\n/.exec(text)?.[1];
  if (json === undefined) return undefined;
  const { version, jetstream = false } = JSON.parse(json) as Partial<Greeting>;
  return version === undefined ? undefined : { version, jetstream };
}

/** Throws `setup_failed` when the port can not be listened on, and says who has it. A port below 1 asks for any. */
export async function checkPort(host: string, port: number): Promise<void> {
  if (port < 1) return;
  const code = await listenError(host, port);
  if (code === undefined) return;
  throw new NavvyError("setup_failed", `the server can not listen on ${host}:${port}`, {
    why: code === "EADDRINUSE" ? await whoListens(host, port) : `the system answers ${code}`,
    fix: fixFor(code, port),
    detail: { host, port, code },
  });
}

/** nats-server reports a taken port in words only; the system has a code for it. */
function listenError(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", (error: NodeJS.ErrnoException) => resolve(error.code));
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve(undefined)));
  });
}

async function whoListens(host: string, port: number): Promise<string> {
  const server = await greeting({ host, port, timeoutMs: 500 });
  return server === undefined ? "another program has the port" : `a NATS server ${server.version} already listens there`;
}

function fixFor(code: string, port: number): string[] {
  if (code !== "EADDRINUSE") return ["choose another host or a port above 1023"];
  const who = process.platform === "linux" ? `ss -ltnp 'sport = :${port}'` : `lsof -nP -iTCP:${port} -sTCP:LISTEN`;
  return ["choose another port", `or use that server, if it is one: NAVVY_SERVER=nats://127.0.0.1:${port}`, `see who it is: ${who}`];
}
