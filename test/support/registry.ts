import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import type { Docker } from "./docker.js";

/** An image registry on loopback that serves one image in the registry protocol, as it was saved by an engine. */
export interface Registry extends AsyncDisposable {
  /** `127.0.0.1:port`: the first part of an image's name. */
  readonly address: string;
  /** sha256 of the image's manifest, as its registry names it. */
  readonly digest: string;
  /** Credentials that it wants from now on. */
  demand(user: string, password: string): void;
  /** How often it was asked for the image by its tag. */
  readonly fetches: number;
}

interface Blob {
  type: string;
  data: Buffer;
}

/** Serves an image of the engine's under any name and tag. */
export async function startRegistry(engine: Docker, image: string): Promise<Registry> {
  const { blobs, manifest } = await savedImage(engine, image);
  let wanted: string | undefined;
  let fetches = 0;
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    if (wanted !== undefined && request.headers.authorization !== wanted)
      return void response.writeHead(401, { "www-authenticate": 'Basic realm="test"' }).end();
    const [, kind, reference = ""] = /^\/v2\/.*\/(manifests|blobs)\/(.*)$/.exec(request.url ?? "") ?? [];
    const found = kind === "manifests" && !reference.startsWith("sha256:") ? manifest : blobs.get(reference);
    if (request.url === "/v2/") return void response.writeHead(200).end("{}");
    if (!found) return void response.writeHead(404).end('{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
    if (kind === "manifests" && !reference.startsWith("sha256:")) fetches++;
    response.writeHead(200, {
      "content-type": found.type,
      "content-length": found.data.length,
      "docker-content-digest": digestOf(found.data),
    });
    response.end(request.method === "HEAD" ? undefined : found.data);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    digest: digestOf(manifest.data),
    demand: (user, password) => (wanted = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`),
    get fetches() {
      return fetches;
    },
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => (server.closeAllConnections(), server.close(() => resolve()))),
  };
}

async function savedImage(engine: Docker, image: string): Promise<{ blobs: Map<string, Blob>; manifest: Blob }> {
  const folder = await mkdtemp(join(tmpdir(), "navvy-image-"));
  try {
    const env = { ...process.env, ...engine.env };
    await execa("docker", ["save", "--output", join(folder, "image.tar"), image], { env });
    await execa("tar", ["--directory", folder, "--extract", "--file", join(folder, "image.tar")]);
    const [saved] = JSON.parse(await readFile(join(folder, "manifest.json"), "utf8")) as [{ Config: string; Layers: string[] }];
    const config = await readFile(join(folder, saved.Config));
    const layers = await Promise.all(saved.Layers.map((layer) => readFile(join(folder, layer))));
    const entry = (mediaType: string, data: Buffer) => ({ mediaType, size: data.length, digest: digestOf(data) });
    const type = "application/vnd.docker.distribution.manifest.v2+json";
    const text = JSON.stringify({
      schemaVersion: 2,
      mediaType: type,
      config: entry("application/vnd.docker.container.image.v1+json", config),
      layers: layers.map((layer) => entry("application/vnd.docker.image.rootfs.diff.tar", layer)),
    });
    const manifest = { type, data: Buffer.from(text) };
    const blobs = [config, ...layers].map((data) => [digestOf(data), { type: "application/octet-stream", data }] as const);
    return { manifest, blobs: new Map([...blobs, [digestOf(manifest.data), manifest]]) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function digestOf(data: Buffer): string {
  return `sha256:${createHash("sha256").update(data).digest("hex")}`;
}
