import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import pino from "pino";
import { expect, onTestFinished, test } from "vitest";
import type { Claim } from "../../broker/index.js";
import { eventually } from "../../test/support/eventually.js";
import { tempFolder } from "../../test/support/folder.js";
import { Control } from "../task/control.js";
import { type AttemptFolder, attemptFolder, eventsFile } from "../task/folder.js";
import { Api } from "./api.js";
import { API_LIMITS, type ApiLimits } from "./limits.js";

/** An API of an agent that runs nothing, with attempts that are open. */
async function open(limits: Partial<ApiLimits> = {}, below = "") {
  const temp = await tempFolder();
  const folder = join(temp.path, below);
  await mkdir(join(folder, "attempts"), { recursive: true });
  const config = { name: "a", folder, facades: true, log: pino({ level: "silent" }) };
  const start = () => Api.open({ config, navvy: {} as never, limits: { ...API_LIMITS, ...limits } });
  let api = await start();
  onTestFinished(async () => {
    await api.close({ isLast: true });
    await temp[Symbol.asyncDispose]();
  });
  const attempt = async (id: string, isContained = false) => {
    const claim = {
      id,
      attempt: 1,
      record: { name: id, project: "p", spec: { env: {}, parameters: { General: { id } }, inputs: {} } },
    } as unknown as Claim;
    const at: AttemptFolder = attemptFolder(folder, `${id}.1`, claim.record);
    await mkdir(at.artifacts, { recursive: true });
    const companion = api.companionOf({ claim, folder: at, isContained, isController: false, control: new Control() });
    await companion.begin?.();
    onTestFinished(async () => companion.close?.());
    const { env } = await api.tell(claim, { folder: at });
    return { folder: at, companion, env, socket: isContained ? join(at.root, "api", "api.sock") : (env.NAVVY_SOCKET ?? "") };
  };
  const restart = async () => {
    await api.close({ isLast: false });
    api = await start();
  };
  return { attempt, restart };
}

interface Asked {
  socketPath: string;
  path?: string;
  method?: string;
  body?: string | Buffer;
}

function ask({ socketPath, path = "/v1/params", method = "GET", body }: Asked): Promise<{ status: number; json: unknown }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method, agent: false }, (response) => {
      let text = "";
      response.on("data", (part) => (text += part));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, json: JSON.parse(text) }));
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

/** A client that writes what it likes; `ended` resolves with what it was sent. */
async function raw(path: string, text: string): Promise<{ socket: Socket; ended: Promise<string> }> {
  const socket = connect(path);
  let got = "";
  socket.on("data", (part) => (got += part));
  socket.on("error", () => undefined);
  const ended = new Promise<string>((resolve) => socket.once("close", () => resolve(got)));
  onTestFinished(() => void socket.destroy());
  await new Promise((resolve) => socket.once("connect", resolve));
  socket.write(text);
  return { socket, ended };
}

test("a client that never ends its head or its body is cut, and others are answered meanwhile", async () => {
  const { attempt } = await open({ headMs: 2_000, bodyMs: 1_000, keepMs: 1_000 });
  const { socket: path } = await attempt("one");
  const drip = await raw(path, "GET /v1/task HT");
  const dripping = setInterval(() => drip.socket.write("x"), 20);
  onTestFinished(() => clearInterval(dripping));
  const silent = await raw(path, "");
  const half = await raw(path, 'POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"t":');
  const again = await raw(path, "GET /v1/params HTTP/1.1\r\nhost: x\r\n\r\n");
  expect(await ask({ socketPath: path })).toMatchObject({ status: 200 });
  expect(await Promise.all([drip.ended, silent.ended, half.ended])).toEqual(["", "", ""]);
  expect(await again.ended).toMatch(/^HTTP\/1.1 200 OK/); // answered, and let go when nothing more came
});

test("a body that is too large is refused before it is read, and one without a length when it has become so", async () => {
  const { attempt } = await open({ bodyBytes: 1_000 });
  const { socket, folder } = await attempt("one");
  const line = `{"t":"note","text":"x"}\n`;
  const large = await ask({ socketPath: socket, path: "/v1/events", method: "POST", body: line.repeat(100_000) });
  expect(large).toMatchObject({ status: 413, json: { error: { code: "too_large", fix: expect.any(String) } } });
  const chunk = `400\r\n${"x".repeat(1024)}\r\n`;
  const chunked = await raw(socket, `POST /v1/events HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${chunk}${chunk}`);
  expect(await chunked.ended).toMatch(/^HTTP\/1.1 413 /);
  await expect(stat(eventsFile(folder, "http"))).rejects.toThrow("ENOENT");
});

test("bodies that come together may not fill the agent's memory", async () => {
  const { attempt } = await open({ heldBytes: 5_000 });
  const [greedy, other] = [await attempt("one"), await attempt("two")];
  const begun = `POST /v1/events HTTP/1.1\r\nhost: x\r\ncontent-length: 4000\r\n\r\n${"x".repeat(3_000)}`;
  await raw(greedy.socket, begun);
  expect(await (await raw(greedy.socket, begun)).ended).toMatch(/^HTTP\/1.1 503 /);
  const note = { path: "/v1/events", method: "POST", body: `{"t":"note","text":"${"x".repeat(3_000)}"}` };
  expect(await ask({ socketPath: other.socket, ...note })).toMatchObject({ status: 200 });
});

test("one task's connections are limited, and take nothing from another's", async () => {
  const { attempt } = await open({ connections: 4 });
  const [greedy, other] = [await attempt("one"), await attempt("two")];
  const held = await Promise.all(
    Array.from({ length: 4 }, () => raw(greedy.socket, "GET /v1/control?wait=30 HTTP/1.1\r\nhost: x\r\n\r\n")),
  );
  expect(await (await raw(greedy.socket, "GET /v1/params HTTP/1.1\r\n")).ended).toBe("");
  const overPort = await fetch(`${greedy.env.NAVVY_URL}/v1/params`);
  expect([overPort.status, await overPort.json()]).toMatchObject([503, { error: { code: "timeout" } }]);
  expect((await ask({ socketPath: other.socket })).json).toEqual({ General: { id: "two" } });
  held[0]?.socket.destroy();
  await eventually("there is room again", async () => (await ask({ socketPath: greedy.socket })).status === 200);
});

test("idle connections to the port make room for new ones", async () => {
  const { attempt } = await open({ portConnections: 3 });
  const { env } = await attempt("one");
  const { port } = new URL(env.NAVVY_URL ?? "");
  const idle = Array.from({ length: 10 }, () => connect(Number(port), "127.0.0.1").on("error", () => undefined));
  onTestFinished(() => idle.forEach((socket) => void socket.destroy()));
  await Promise.all(idle.map((socket) => new Promise((resolve) => socket.once("connect", resolve))));
  expect((await fetch(`${env.NAVVY_URL}/v1/params`)).status).toBe(200);
});

test("a client that goes away in the middle of a file leaves nothing of it", async () => {
  const { attempt } = await open();
  const { socket: path, folder } = await attempt("one");
  const client = await raw(path, "PUT /v1/artifacts/model.bin HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nhalf");
  const uploads = async () =>
    (await import("node:fs/promises")).readdir(folder.root).then((all) => all.filter((name) => name.startsWith(".upload-")));
  await eventually("it is being written", async () => (await uploads()).length === 1);
  client.socket.destroy();
  await eventually("it is gone", async () => (await uploads()).length === 0);
  await expect(stat(join(folder.artifacts, "model.bin"))).rejects.toThrow("ENOENT");
});

test("tasks do not reach each other: a socket is its own task's, a token too, and neither lasts longer than it", async () => {
  const { attempt } = await open();
  const [one, two] = [await attempt("one"), await attempt("two")];
  expect(one.env.NAVVY_URL).not.toBe(two.env.NAVVY_URL);
  const token = new URL(two.env.NAVVY_URL ?? "").pathname;
  expect(await ask({ socketPath: one.socket, path: `${token}/v1/params` })).toMatchObject({ status: 404 });
  expect(await (await fetch(`${two.env.NAVVY_URL}/v1/params`)).json()).toEqual({ General: { id: "two" } });
  await two.companion.finish?.();
  expect((await fetch(`${two.env.NAVVY_URL}/v1/params`)).status).toBe(403);
  await expect(ask({ socketPath: two.socket })).rejects.toThrow("ENOENT");
  expect(await ask({ socketPath: one.socket })).toMatchObject({ status: 200 });
});

test("a socket whose path would be too long is reached by a short one, which is the same after a restart", async () => {
  const { attempt, restart } = await open({}, "deep".repeat(40));
  const { socket, env } = await attempt("one");
  expect(Buffer.byteLength(socket)).toBeLessThan(104);
  expect(await ask({ socketPath: socket })).toMatchObject({ status: 200 });
  await restart();
  const again = await attempt("one");
  expect([again.socket, again.env.NAVVY_URL]).toEqual([socket, env.NAVVY_URL]);
  expect(await ask({ socketPath: socket })).toMatchObject({ status: 200 });
});

test("a socket that a killed agent left is taken over; one for a container lets in whoever runs there", async () => {
  const { attempt } = await open();
  const at = (await attempt("one", true)).folder;
  const found = await stat(join(at.root, "api", "api.sock"));
  expect(found.mode & 0o777).toBe(0o666);
  const left = await open();
  const { folder, companion } = await left.attempt("two");
  await companion.close?.();
  await writeFile(join(folder.root, "api.sock"), "");
  const { socket } = await left.attempt("two");
  expect(await ask({ socketPath: socket })).toMatchObject({ status: 200 });
});

test("what many clients post at once stands in whole lines", async () => {
  const { attempt } = await open();
  const { socket, folder } = await attempt("one");
  const body = (i: number) =>
    Array.from({ length: 20 }, (_, n) => JSON.stringify({ t: "scalar", k: `k${i}`, v: n, text: "x".repeat(3_000) })).join("\n");
  await Promise.all(Array.from({ length: 30 }, (_, i) => ask({ socketPath: socket, path: "/v1/events", method: "POST", body: body(i) })));
  const lines = (await readFile(eventsFile(folder, "http"), "utf8"))
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { k: string });
  expect(lines).toHaveLength(600);
  expect(new Set(lines.map((line) => line.k)).size).toBe(30);
});
