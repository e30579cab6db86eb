import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect } from "nats";
import { expect, test } from "vitest";
import { runningServer, startServer, stopServer } from "../../broker/server/index.js";
import { stateOf } from "../fixtures/processes/task.js";
import { eventually } from "../support/eventually.js";
import { tempFolder } from "../support/folder.js";
import { startNats } from "../support/nats.js";

const START = new URL("../../broker/server/start.ts", import.meta.url).href;

test("a server that is started answers with JetStream on loopback, and its temporary store goes with it", async () => {
  const server = await startServer();
  const nc = await connect({ servers: server.url });
  expect(nc.info).toMatchObject({ jetstream: true, version: server.version, host: "127.0.0.1", port: server.port, max_payload: 1 << 20 });
  await nc.close();
  expect(existsSync(server.storeDir)).toBe(true);
  await server.stop();
  await server.stop();
  expect(isAlive(server.pid)).toBe(false);
  expect(existsSync(server.storeDir)).toBe(false);
});

test("a server without JetStream and with more configuration does as it is told", async () => {
  await using server = await startServer({ jetstream: false, config: "max_payload: 2MB\nserver_name: mole" });
  const nc = await connect({ servers: server.url });
  expect(nc.info).toMatchObject({ max_payload: 2 << 20, server_name: "mole" });
  expect(nc.info?.jetstream ?? false).toBe(false);
  await nc.close();
});

test.for(["SIGKILL", "SIGTERM"] as const)("a server ends within seconds of its parent, which ends by %s", async (signal) => {
  await using folder = await tempFolder();
  await using parent = await parentProcess(folder.path, {});
  const { pid, storeDir } = parent.server;
  expect(isAlive(pid)).toBe(true);
  process.kill(parent.pid, signal);
  await eventually("the server is gone", () => !isAlive(pid), { timeoutMs: 4_000 });
  await eventually("its temporary store is gone", () => !existsSync(storeDir), { timeoutMs: 4_000 });
});

test("a frozen server ends with its parent too", async () => {
  await using folder = await tempFolder();
  await using parent = await parentProcess(folder.path, {});
  process.kill(parent.server.pid, "SIGSTOP");
  process.kill(parent.pid, "SIGKILL");
  await eventually("the server is gone", () => !isAlive(parent.server.pid), { timeoutMs: 5_000 });
});

test("a detached server outlives its parent, is found by its store and can be ended there", async () => {
  await using folder = await tempFolder();
  const storeDir = join(folder.path, "store");
  await using parent = await parentProcess(folder.path, { storeDir, detached: true });
  process.kill(parent.pid, "SIGKILL");
  await eventually("the program has ended", () => parent.hasExited());
  const nc = await connect({ servers: parent.server.url });
  await nc.close();
  const { pid, url, version } = parent.server;
  expect(await runningServer(storeDir)).toEqual({ pid, url, version });
  expect(await stopServer(storeDir)).toBe(true);
  await eventually("whoever inherited the server has buried it", () => !isAlive(pid));
  expect(await runningServer(storeDir)).toBeUndefined();
  expect(await stopServer(storeDir)).toBe(false);
});

test("an open server does not keep its program from ending", async () => {
  await using folder = await tempFolder();
  await using parent = await parentProcess(folder.path, {}, "");
  await eventually("the program has ended", () => parent.hasExited(), { timeoutMs: 5_000 });
  await eventually("the server is gone", () => !isAlive(parent.server.pid), { timeoutMs: 4_000 });
});

test("a port that a NATS server has is refused with its version and what to do", async () => {
  await using first = await startServer({ jetstream: false });
  await expect(startServer({ port: first.port })).rejects.toMatchObject({
    code: "setup_failed",
    message: `the server can not listen on 127.0.0.1:${first.port}`,
    why: `a NATS server ${first.version} already listens there`,
    fix: expect.arrayContaining([expect.stringContaining(`NAVVY_SERVER=nats://127.0.0.1:${first.port}`)]),
  });
});

test("a port that another program has is refused", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as AddressInfo;
  await expect(startServer({ port })).rejects.toMatchObject({ code: "setup_failed", why: "another program has the port" });
  other.close();
});

test("a store that is in use is refused, and is free again once its server has stopped", async () => {
  await using folder = await tempFolder();
  const first = await startServer({ storeDir: folder.path });
  await expect(startServer({ storeDir: folder.path })).rejects.toMatchObject({ code: "setup_failed", detail: { pid: first.pid } });
  await first.stop();
  await using second = await startServer({ storeDir: folder.path });
  expect(second.storeDir).toBe(folder.path);
});

test("of many starts on one store at once, over the lock of a dead server, one wins", async () => {
  await using folder = await tempFolder();
  await writeFile(join(folder.path, "server.lock"), JSON.stringify({ pid: 2 ** 22 + 1, birth: "1" }));
  const starts = await Promise.allSettled(Array.from({ length: 6 }, () => startServer({ storeDir: folder.path })));
  const won = starts.filter((start) => start.status === "fulfilled");
  await Promise.all(won.map((start) => start.value.stop()));
  expect(won).toHaveLength(1);
});

test("a store that can not be written is refused", async () => {
  await using folder = await tempFolder();
  await writeFile(join(folder.path, "file"), "");
  const storeDir = join(folder.path, "file", "store");
  await expect(startServer({ storeDir })).rejects.toMatchObject({ code: "setup_failed", detail: { path: storeDir, code: "ENOTDIR" } });
});

test("a server that refuses its configuration is quoted, and leaves the store free", async () => {
  await using folder = await tempFolder();
  await expect(startServer({ storeDir: folder.path, config: "max_payload: many" })).rejects.toMatchObject({
    code: "setup_failed",
    why: expect.stringContaining("server.conf:1"),
  });
  await using server = await startServer({ storeDir: folder.path });
  expect(server.pid).toBeGreaterThan(0);
});

test("a server that ends on its own is quoted from a temporary store too, which its watcher leaves alone", async () => {
  for (let tries = 0; tries < 5; tries++) {
    const start = startServer({ config: "max_payload: many" });
    await expect(start).rejects.toMatchObject({ code: "setup_failed", why: expect.stringContaining("server.conf:1") });
  }
});

test("a server that crashes is told of, and its store stays until it is given back", async () => {
  await using server = await startServer();
  process.kill(server.pid, "SIGKILL");
  expect(await server.exited).toEqual({ code: null, signal: "SIGKILL" });
  const group = `-${server.pid}`;
  await eventually("the watcher has gone as well", () => !isAlive(Number(group)));
  expect(existsSync(server.storeDir)).toBe(true);
});

test("a server that does not come up in time is ended", async () => {
  await using folder = await tempFolder();
  const binary = join(folder.path, "nats-server");
  await writeFile(binary, `#!/bin/sh\necho $$ > '${folder.path}/pid'\nexec sleep 600\n`, { mode: 0o755 });
  await expect(startServer({ binary, readyMs: 300 })).rejects.toMatchObject({ code: "timeout" });
  expect(isAlive(Number(await readFile(join(folder.path, "pid"), "utf8")))).toBe(false);
});

test("a server that hears no SIGTERM is killed after its grace", async () => {
  const server = await startServer({ graceMs: 100 });
  process.kill(server.pid, "SIGSTOP");
  await server.stop();
  expect(await server.exited).toMatchObject({ signal: "SIGKILL" });
});

test("what was stored is there again on the same port after a kill -9 and a restart", async () => {
  await using nats = await startNats();
  const before = await connect({ servers: nats.url });
  const kv = await before.jetstream().views.kv("things");
  await kv.put("a", "1");
  await before.close();
  const killed = nats.pid;
  await nats.kill("SIGKILL");
  expect(isAlive(killed)).toBe(false);
  await nats.restart();
  expect(nats.pid).not.toBe(killed);
  const after = await connect({ servers: nats.url });
  const entry = await (await after.jetstream().views.kv("things", { bindOnly: true })).get("a");
  expect(entry?.string()).toBe("1");
  await after.close();
});

test("a paused server says nothing until it is resumed, and can be stopped while paused", async () => {
  await using nats = await startNats({ jetstream: false });
  const nc = await connect({ servers: nats.url });
  nats.pause();
  // A signal is on its way for a moment.
  await eventually("it is stopped", () => stateOf(nats.pid) === "T");
  const answer = nc.flush().then(() => "answered");
  const clock = eventually("a tenth of a second passes", () => performance.now() > started + 100).then(() => "silence");
  const started = performance.now();
  expect(await Promise.race([answer, clock])).toBe("silence");
  nats.resume();
  expect(await answer).toBe("answered");
  await nc.close();
  nats.pause();
  await nats.stop();
  expect(isAlive(nats.pid)).toBe(false);
});

interface Parent extends AsyncDisposable {
  pid: number;
  hasExited(): boolean;
  server: { pid: number; url: string; version: string; storeDir: string };
}

/** A program of its own that starts a server, tells about it on stdout and stays until it is killed. */
async function parentProcess(folder: string, options: object, stay = "setInterval(() => {}, 1000);"): Promise<Parent> {
  const program = join(folder, "parent.mts");
  await writeFile(
    program,
    `import { startServer } from ${JSON.stringify(START)};
     const { pid, url, version, storeDir } = await startServer(${JSON.stringify(options)});
     console.log(JSON.stringify({ pid, url, version, storeDir }));
     ${stay}`,
  );
  const tsx = fileURLToPath(import.meta.resolve("tsx"));
  const child = spawn(process.execPath, ["--import", tsx, program], { stdio: ["ignore", "pipe", "inherit"] });
  const exited = once(child, "exit");
  let text = "";
  child.stdout.on("data", (bytes) => {
    text += bytes;
  });
  const server = await eventually("the program's server is up", () => text.includes("\n") && (JSON.parse(text) as Parent["server"]), {
    timeoutMs: 20_000,
  });
  const dispose = async (): Promise<void> => {
    child.kill("SIGKILL");
    if (isAlive(server.pid)) process.kill(server.pid, "SIGKILL");
    await exited;
  };
  const hasExited = (): boolean => child.exitCode !== null || child.signalCode !== null;
  return { pid: child.pid as number, hasExited, server, [Symbol.asyncDispose]: dispose };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    // No such process.
    return false;
  }
}
