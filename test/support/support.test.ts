import { once } from "node:events";
import { existsSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { eventually } from "./eventually.js";
import { tempFolder } from "./folder.js";
import { startProxy } from "./tcp-proxy.js";

test("eventually gives the first truthy value, also past a probe that throws", async () => {
  let looks = 0;
  const probe = (): number | undefined => {
    looks++;
    if (looks === 1) throw new Error("not yet");
    return looks === 3 ? 3 : undefined;
  };
  expect(await eventually("the third look", probe, { everyMs: 1 })).toBe(3);
});

test("eventually fails with its sentence and what it saw last", async () => {
  const late = { timeoutMs: 30, everyMs: 5 };
  await expect(eventually("the moon is full", () => false, late)).rejects.toThrow("the moon is full: not within 30 ms; last seen: false");
  const thrower = (): never => {
    throw new Error("clouds");
  };
  await expect(eventually("the moon is full", thrower, late)).rejects.toThrow("clouds");
  await expect(eventually("it answers", () => new Promise<true>(() => {}), late)).rejects.toThrow("it answers: not within 30 ms");
});

test("a temporary folder has a blank in its name and is gone when disposed", async () => {
  const folder = await tempFolder();
  expect(existsSync(folder.path)).toBe(true);
  expect(folder.path).toContain(" ");
  await folder[Symbol.asyncDispose]();
  expect(existsSync(folder.path)).toBe(false);
});

test("a held link says nothing either way, and what was held back arrives when it heals", async () => {
  await using echo = await echoServer();
  await using proxy = await startProxy(echo.port);
  await using before = await client(proxy.port);
  before.socket.write("a");
  await eventually("the echo of a", () => before.text() === "a");
  proxy.cut();
  before.socket.write("b");
  await using during = await client(proxy.port);
  during.socket.write("c");
  await expect(
    eventually("an echo on a held link", () => before.text() !== "a" || during.text() !== "", { timeoutMs: 150 }),
  ).rejects.toThrow();
  expect(echo.heard()).toBe("a");
  proxy.heal();
  await eventually("both echoes", () => before.text() === "ab" && during.text() === "c");
});

test("a client that leaves a held link is only missed by the server when the link heals", async () => {
  await using echo = await echoServer();
  await using proxy = await startProxy(echo.port);
  await using leaver = await client(proxy.port);
  leaver.socket.write("a");
  await eventually("the echo", () => leaver.text() === "a");
  proxy.cut();
  leaver.socket.resetAndDestroy();
  await expect(eventually("the server misses it", () => echo.open() === 0, { timeoutMs: 150 })).rejects.toThrow();
  proxy.heal();
  await eventually("the server misses it", () => echo.open() === 0);
});

test("a dropped link breaks its connections and refuses new ones until it heals", async () => {
  await using echo = await echoServer();
  await using proxy = await startProxy(echo.port);
  await using before = await client(proxy.port);
  before.socket.write("a");
  await eventually("the echo", () => before.text() === "a");
  proxy.cut("drop");
  await eventually("the connection broke", () => before.socket.destroyed);
  await using during = await client(proxy.port);
  await eventually("a new one is closed", () => during.socket.destroyed);
  proxy.heal();
  await using after = await client(proxy.port);
  after.socket.write("b");
  await eventually("the echo", () => after.text() === "b");
});

async function echoServer(): Promise<AsyncDisposable & { port: number; heard(): string; open(): number }> {
  const sockets = new Set<Socket>();
  let heard = "";
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      heard += bytes;
      socket.write(bytes);
    });
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const dispose = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port: (server.address() as AddressInfo).port, heard: () => heard, open: () => sockets.size, [Symbol.asyncDispose]: dispose };
}

async function client(port: number): Promise<AsyncDisposable & { socket: Socket; text(): string }> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.on("error", () => undefined);
  socket.on("data", (bytes) => {
    text += bytes;
  });
  await once(socket, "connect");
  return { socket, text: () => text, [Symbol.asyncDispose]: async () => void socket.destroy() };
}
