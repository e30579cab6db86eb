import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { eventually } from "./eventually.js";

/** A git that knows nothing of this machine's configuration, for the people and hosts of a test. */
export const PLAIN_GIT = {
  GIT_CONFIG_GLOBAL: "/dev/null",
  GIT_CONFIG_NOSYSTEM: "1",
  GIT_AUTHOR_NAME: "a",
  GIT_AUTHOR_EMAIL: "a@example.org",
  GIT_COMMITTER_NAME: "a",
  GIT_COMMITTER_EMAIL: "a@example.org",
};

/** Runs git in a folder. @returns its stdout, trimmed */
export async function git(folder: string, ...args: string[]): Promise<string> {
  return (await execa("git", args, { cwd: folder, env: PLAIN_GIT })).stdout.trim();
}

/** Writes files into a folder; null removes one. */
export async function put(folder: string, files: Record<string, string | Buffer | null>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    if (content === null) await rm(path);
    else await writeFile(path, content);
  }
}

/** Commits all that lies in the folder. @returns the commit */
export async function commitAll(folder: string, files: Record<string, string | Buffer | null> = {}): Promise<string> {
  await put(folder, files);
  await git(folder, "add", "-A");
  await git(folder, "commit", "-q", "-m", "more");
  return git(folder, "rev-parse", "HEAD");
}

/** A bare repository and a checkout of it whose branch `main` is pushed there. */
export async function makeOrigin(folder: string, name = "origin", files: Record<string, string | Buffer> = { "train.py": "print(1)\n" }) {
  const bare = join(folder, `${name}.git`);
  const checkout = join(folder, name);
  await mkdir(checkout, { recursive: true });
  await git(folder, "init", "-q", "--bare", "-b", "main", bare);
  await git(checkout, "init", "-q", "-b", "main");
  await git(checkout, "remote", "add", "origin", bare);
  const commit = await commitAll(checkout, files);
  await git(checkout, "push", "-q", "-u", "origin", "main");
  return { bare, checkout, commit };
}

/** A server that speaks git's own protocol, and what it was asked. */
export interface GitDaemon extends AsyncDisposable {
  url(name: string): string;
  readonly port: number;
  readonly requests: string[];
}

/** Serves what lies below a folder. */
export async function startGitDaemon(base: string, args: string[] = []): Promise<GitDaemon> {
  const port = await freePort();
  const flags = [`--base-path=${base}`, `--port=${port}`, "--listen=127.0.0.1", "--reuseaddr", "--export-all", "--verbose"];
  const child = spawn("git", ["daemon", ...flags, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
    detached: true,
    env: { ...process.env, ...PLAIN_GIT },
  });
  const requests: string[] = [];
  child.stderr.on("data", (text: Buffer) => requests.push(...(text.toString().match(/Request \S+ for '[^']*'/g) ?? [])));
  await eventually("git daemon answers", () => canConnect(port));
  return {
    url: (name) => `git://127.0.0.1:${port}/${name}`,
    port,
    requests,
    [Symbol.asyncDispose]: () => endGroup(child),
  };
}

async function endGroup(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  process.kill(-(child.pid ?? 0), "SIGTERM");
  await exited;
}

/** A forge that wants user `me` and password `secret`, over git's http-backend. */
export async function startGitHttp(base: string): Promise<AsyncDisposable & { origin: string }> {
  const server = createServer((request, response) => {
    const isLetIn = request.headers.authorization === `Basic ${Buffer.from("me:secret").toString("base64")}`;
    if (isLetIn) return backend(base, request, response);
    response.writeHead(401, { "www-authenticate": 'Basic realm="git"' }).end();
  });
  return { origin: await listen(server), [Symbol.asyncDispose]: () => closeServer(server) };
}

/** Serves files and knows nothing of git. */
export async function startFolderHttp(base: string): Promise<AsyncDisposable & { origin: string }> {
  const server = createServer((request, response) => {
    readFile(join(base, decodeURIComponent(new URL(request.url ?? "/", "http://x").pathname))).then(
      (bytes) => response.writeHead(200).end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  return { origin: `http://${await listen(server)}`, [Symbol.asyncDispose]: () => closeServer(server) };
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

function backend(base: string, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://x");
  const child = spawn("git", ["http-backend"], {
    env: {
      ...process.env,
      ...PLAIN_GIT,
      GIT_PROJECT_ROOT: base,
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: url.pathname,
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method ?? "GET",
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      ...(request.headers["content-encoding"] ? { HTTP_CONTENT_ENCODING: request.headers["content-encoding"] } : {}),
      ...(request.headers["git-protocol"] ? { GIT_PROTOCOL: String(request.headers["git-protocol"]) } : {}),
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  request.pipe(child.stdin);
  const parts: Buffer[] = [];
  child.stdout.on("data", (bytes: Buffer) => parts.push(bytes));
  child.stdout.on("end", () => {
    const all = Buffer.concat(parts);
    const end = all.indexOf("\r\n\r\n");
    const headers = all
      .subarray(0, end)
      .toString()
      .split("\r\n")
      .map((line) => line.split(": ") as [string, string]);
    const status = Number(headers.find(([name]) => name === "Status")?.[1].slice(0, 3) ?? 200);
    response.writeHead(status, Object.fromEntries(headers.filter(([name]) => name !== "Status"))).end(all.subarray(end + 4));
  });
}

/** A remote that takes a connection and never says a word. */
export async function startSilentRemote(): Promise<AsyncDisposable & { url: string; hasVisitor(): boolean }> {
  const stall = await startStall({ afterBytes: 0 });
  return {
    url: `git://127.0.0.1:${stall.port}/silent.git`,
    hasVisitor: () => stall.hasStalled(),
    [Symbol.asyncDispose]: stall[Symbol.asyncDispose],
  };
}

/** A link to a server that goes dead, without breaking, after so many bytes of its answers, until it is healed. */
export interface Stall extends AsyncDisposable {
  readonly port: number;
  hasStalled(): boolean;
  /** From here on everything goes through; what stands still does so for ever. */
  heal(): void;
}

export async function startStall({ port, afterBytes }: { port?: number; afterBytes: number }): Promise<Stall> {
  let [isHealed, hasStalled, leftBytes] = [false, false, afterBytes];
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}); // the other side was killed
  };
  const server = createTcpServer((client) => {
    keep(client);
    if (port === undefined) return void (hasStalled = true);
    const target = connect(port, "127.0.0.1");
    keep(target);
    client.pipe(target);
    target.on("end", () => client.end());
    target.on("data", (bytes: Buffer) => {
      leftBytes -= bytes.length;
      if (leftBytes < 0 && !isHealed) {
        hasStalled = true;
        target.pause();
      } else client.write(bytes);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    hasStalled: () => hasStalled,
    heal: () => void (isHealed = true),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

/** Processes of git that work for a folder of repositories. */
export async function gitsOf(folder: string): Promise<string[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const marked = pids.map(async (pid) => {
    const text = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => "");
    return text.includes(`NAVVY_GIT_OF=${folder}\0`) ? [pid] : [];
  });
  return (await Promise.all(marked)).flat();
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function canConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve((socket.destroy(), true)));
    socket.once("error", () => resolve(false));
  });
}
