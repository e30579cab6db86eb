import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { packTar } from "modern-tar";
import { beforeAll, expect, test } from "vitest";
import { tempFolder } from "../../test/support/folder.js";
import { archiveName, fetchRelease, PINNED } from "./fetch-release.js";
import { findServer } from "./find.js";
import { compareVersions } from "./version.js";

/** A real server of this machine, to be found again elsewhere. */
let real: { path: string; version: string };

beforeAll(async () => {
  real = await findServer();
});

/** An environment in which no server is to be found. */
function nowhere(cacheDir: string, more: NodeJS.ProcessEnv = {}): { cacheDir: string; places: string[]; env: NodeJS.ProcessEnv } {
  return { cacheDir, places: [], env: { PATH: join(cacheDir, "no such folder"), NAVVY_OFFLINE: "1", ...more } };
}

test("the server that a person named is used, and said in one line", async () => {
  await using folder = await tempFolder();
  const said: string[] = [];
  const found = await findServer({ ...nowhere(folder.path, { NAVVY_NATS_SERVER: real.path }), say: (line) => said.push(line) });
  expect(found).toEqual({ path: real.path, version: real.version, from: "NAVVY_NATS_SERVER" });
  expect(said).toEqual([`nats-server ${real.version} from NAVVY_NATS_SERVER`]);
});

test.for(["/no/such/file", process.execPath])("a named server that is none (%s) is an error, not passed over", async (path) => {
  const env = { ...process.env, NAVVY_NATS_SERVER: path };
  await expect(findServer({ env })).rejects.toMatchObject({ code: "setup_failed", message: expect.stringContaining(path) });
});

test("a server on PATH comes before a cached one", async () => {
  await using folder = await tempFolder();
  const bin = join(folder.path, "bin");
  await place(bin);
  await place(join(folder.path, "cache", "versions", real.version));
  const found = await findServer(nowhere(join(folder.path, "cache"), { PATH: `/no/such/folder:${bin}` }));
  expect(found).toMatchObject({ path: join(bin, "nats-server"), from: "PATH" });
});

test("the newest cached server is taken, and one that can not run is passed over", async () => {
  await using folder = await tempFolder();
  await place(join(folder.path, "versions", "2.9.10"));
  await place(join(folder.path, "versions", "2.10.1"));
  await mkdir(join(folder.path, "versions", "2.11.0"), { recursive: true });
  await writeFile(join(folder.path, "versions", "2.11.0", "nats-server"), "no program", { mode: 0o755 });
  const found = await findServer(nowhere(folder.path));
  expect(found).toMatchObject({ path: join(folder.path, "versions", "2.10.1", "nats-server"), from: "the cache" });
});

test("a version that is asked for is found by its line, and another one is refused", async () => {
  await using folder = await tempFolder();
  await place(join(folder.path, "bin"));
  const where = nowhere(folder.path, { PATH: join(folder.path, "bin") });
  const line = real.version.split(".").slice(0, 2).join(".");
  expect(await findServer({ ...where, version: line })).toMatchObject({ version: real.version });
  await expect(findServer({ ...where, version: "1.2.3" })).rejects.toMatchObject({ why: expect.stringContaining("wanted 1.2.3") });
});

test("when nothing is found the error sums up each way and gives the line to paste", async () => {
  await using folder = await tempFolder();
  const install = process.platform === "darwin" ? ["brew install nats-server"] : hasApt() ? ["sudo apt-get install nats-server"] : [];
  await expect(findServer(nowhere(folder.path))).rejects.toMatchObject({
    code: "setup_failed",
    why: `none on PATH; none cached in ${folder.path}; nothing fetched, as NAVVY_OFFLINE=1`,
    fix: [...install, expect.stringContaining("NAVVY_NATS_SERVER")],
  });
});

test("a release is fetched, checked and cached by several at once, and found there afterwards", async () => {
  await using folder = await tempFolder();
  await using releases = await releaseServer(await archive());
  const online = nowhere(folder.path, { NAVVY_OFFLINE: "", NAVVY_NATS_RELEASES: releases.url });
  const path = join(folder.path, "versions", real.version, "nats-server");
  const found = await Promise.all([findServer(online), findServer(online), findServer(online)]);
  expect(new Set(found.map((one) => one.path))).toEqual(new Set([path]));
  expect(await findServer(nowhere(folder.path))).toMatchObject({ path, from: "the cache" });
  expect(await readdir(folder.path)).toEqual(["versions"]);
});

test("a release that does not match its checksum is refused and leaves nothing", async () => {
  await using folder = await tempFolder();
  await using releases = await releaseServer(await archive(), "0".repeat(64));
  const online = nowhere(folder.path, { NAVVY_OFFLINE: "", NAVVY_NATS_RELEASES: releases.url });
  await expect(findServer(online)).rejects.toMatchObject({ why: expect.stringMatching(/SHA256SUMS says 0000/) });
  expect(await readdir(folder.path)).toEqual([]);
});

test("a release place that takes the connection and says nothing is given up in time", async () => {
  await using folder = await tempFolder();
  await using silent = await listening(createServer(() => undefined));
  const refused = await fetchRelease({ version: PINNED, into: folder.path, from: silent.url, answerMs: 100 });
  expect(refused).toBe(`${silent.url} can not be read: no answer in 100 ms`);
});

test.skipIf(!hasApt() || process.env.NAVVY_OFFLINE === "1").for(["as they are", "empty"])(
  "where no release can be fetched the distribution's package is, without being installed, with apt's lists %s",
  { timeout: 120_000 },
  async (lists) => {
    await using folder = await tempFolder();
    const env: NodeJS.ProcessEnv = { NAVVY_OFFLINE: "", NAVVY_NATS_RELEASES: "http://127.0.0.1:1", PATH: await pathWithoutServer() };
    if (lists === "empty") env.APT_CONFIG = await emptyLists(folder.path);
    const found = await findServer(nowhere(join(folder.path, "cache"), env));
    expect(found.from).toContain("this machine's package sources, downloaded into");
    expect(found.path).toBe(join(folder.path, "cache", "versions", found.version, "nats-server"));
  },
);

test("there is a release for the usual systems and none for others", () => {
  expect(archiveName("2.11.0", { platform: "darwin", arch: "arm64" })).toBe("nats-server-v2.11.0-darwin-arm64.tar.gz");
  expect(archiveName("2.11.0", { platform: "linux", arch: "x64" })).toBe("nats-server-v2.11.0-linux-amd64.tar.gz");
  expect(archiveName("2.11.0", { platform: "win32", arch: "x64" })).toBeUndefined();
});

test("versions are ordered by number, not by letter", () => {
  expect(["2.10.1", "2.9.10", "2.9.9", "2.11.0-RC.1"].sort(compareVersions)).toEqual(["2.9.9", "2.9.10", "2.10.1", "2.11.0-RC.1"]);
});

async function place(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await copyFile(real.path, join(folder, "nats-server"));
}

/** A release archive as published, with the real server in it. */
async function archive(): Promise<Buffer> {
  const body = await readFile(real.path);
  const folder = (archiveName(PINNED) ?? "").replace(".tar.gz", "");
  return gzipSync(await packTar([{ header: { name: `${folder}/nats-server`, size: body.length, mode: 0o755 }, body }]), { level: 1 });
}

async function releaseServer(bytes: Buffer, sum = createHash("sha256").update(bytes).digest("hex")): Promise<Listening> {
  const files = new Map<string, Buffer | string>([
    [`/v${PINNED}/SHA256SUMS`, `${"1".repeat(64)}  another.zip\n${sum}  ${archiveName(PINNED)}\n`],
    [`/v${PINNED}/${archiveName(PINNED)}`, bytes],
  ]);
  return listening(createServer((request, response) => response.end(files.get(request.url ?? ""))));
}

type Listening = AsyncDisposable & { url: string };

async function listening(server: ReturnType<typeof createServer>): Promise<Listening> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const dispose = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, [Symbol.asyncDispose]: dispose };
}

function hasApt(): boolean {
  try {
    execFileSync("apt-get", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    // Not a Debian.
    return false;
  }
}

/** This machine's programs, but for its server: a PATH of the folders that do not hold one. */
async function pathWithoutServer(): Promise<string> {
  const folders = (process.env.PATH ?? "").split(":");
  const holds = await Promise.all(
    folders.map((one) =>
      readdir(one).then(
        (names) => names.includes("nats-server"),
        () => true,
      ),
    ),
  );
  return folders.filter((_, at) => !holds[at]).join(":");
}

/** A configuration with which apt knows no package, as on a machine that never ran its update. */
async function emptyLists(folder: string): Promise<string> {
  const path = join(folder, "apt.conf");
  await writeFile(path, `Dir::State::lists "${folder}/lists";\nDir::Cache "${folder}/apt-cache";\n`);
  return path;
}
