import { createHash } from "node:crypto";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { unpackTar } from "modern-tar";

/** The release that is fetched when no other version is asked for. */
export const PINNED = "2.11.17";

/** Where the project publishes its archives and their checksums. */
const RELEASES = "https://github.com/nats-io/nats-server/releases/download";

/** What to fetch, and where to unpack it. */
export interface ReleaseOptions {
  version: string;
  /** The folder that gets `nats-server`. */
  into: string;
  /** A mirror of the release folders. Default: the official ones. */
  from?: string;
  /** How long the first answer may take. Default 5,000: a closed network must not look like a hang. */
  answerMs?: number;
}

/** The name of a release's archive for this machine; undefined where none is published. */
export function archiveName(version: string, { platform, arch } = process as { platform: string; arch: string }): string | undefined {
  const processor = { x64: "amd64", arm64: "arm64" }[arch];
  if (processor === undefined || (platform !== "linux" && platform !== "darwin")) return undefined;
  return `nats-server-v${version}-${platform}-${processor}.tar.gz`;
}

/**
 * Fetches the official release, checks it against the release's own checksums and unpacks the server.
 * Answers undefined when done, else one line that says why not: the caller has other ways to try.
 */
export async function fetchRelease({ version, into, from = RELEASES, answerMs = 5_000 }: ReleaseOptions): Promise<string | undefined> {
  const name = archiveName(version);
  if (name === undefined) return `no release is published for ${process.platform} ${process.arch}`;
  try {
    const sums = await get(`${from}/v${version}/SHA256SUMS`, answerMs);
    const wanted = checksumOf(sums.toString(), name);
    if (wanted === undefined) return `SHA256SUMS of v${version} does not list ${name}`;
    const archive = await get(`${from}/v${version}/${name}`, answerMs);
    const found = createHash("sha256").update(archive).digest("hex");
    if (found !== wanted) return `${name} has sha256 ${found}, SHA256SUMS says ${wanted}`;
    return await unpack(archive, into);
  } catch (error) {
    return `${from} can not be read: ${reason(error)}`;
  }
}

/** The checksum of one file in the format of sha256sum: `<hex>  <name>`. */
function checksumOf(sums: string, name: string): string | undefined {
  const lines = sums.split("\n").map((line) => line.trim().split(/\s+\*?/));
  return lines.find((line) => line[1] === name)?.[0];
}

/** A whole file over HTTP. The first answer has its own, short limit; the body gets two minutes. */
async function get(url: string, answerMs: number): Promise<Buffer> {
  const stop = new AbortController();
  const overall = AbortSignal.timeout(120_000);
  const timer = setTimeout(() => stop.abort(new Error(`no answer in ${answerMs} ms`)), answerMs);
  try {
    const response = await fetch(url, { signal: AbortSignal.any([stop.signal, overall]) });
    clearTimeout(timer);
    if (!response.ok) throw new Error(`${url} answers ${response.status}`);
    return Buffer.from(await response.arrayBuffer());
  } finally {
    clearTimeout(timer);
  }
}

async function unpack(archive: Buffer, into: string): Promise<string | undefined> {
  const entries = await unpackTar(gunzipSync(archive));
  const server = entries.find((entry) => entry.header.name.endsWith("/nats-server"));
  if (server?.data === undefined) return "the archive holds no nats-server";
  await mkdir(into, { recursive: true });
  await writeFile(join(into, "nats-server"), server.data);
  await chmod(join(into, "nats-server"), 0o755);
  return undefined;
}

/** fetch() hides what went wrong (a name that does not resolve, a refused connection) in the cause. */
function reason(error: unknown): string {
  const { cause, message } = error as Error;
  return cause instanceof Error ? cause.message : message;
}
