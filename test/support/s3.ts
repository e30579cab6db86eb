import { createHash, createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

const [KEY_ID, SECRET, REGION, BUCKET] = ["TESTKEY", "a-secret-of-the-test", "us-east-1", "models"];
const MAX_SKEW_MS = 15 * 60_000;

/** A server that speaks as much of S3 as an object store needs, with one bucket in memory; it checks every signature (version 4). */
export interface S3Server extends AsyncDisposable {
  endpoint: string;
  bucket: string;
  /** For the environment of whoever uses it. */
  env: { AWS_ACCESS_KEY_ID: string; AWS_SECRET_ACCESS_KEY: string };
  /** What the bucket holds, by key. */
  objects: Map<string, Buffer>;
  /** How far its clock is ahead. */
  clockMs: number;
  /** Answers so many requests with 503 first. */
  busy: number;
  /** The keys of all PUTs it took. */
  puts: string[];
  url(prefix?: string): string;
}

class Refusal extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

export async function startS3(): Promise<S3Server> {
  const http = createServer((request, response) => void answer(s3, request, response));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const endpoint = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  const s3: S3Server = {
    endpoint,
    bucket: BUCKET,
    env: { AWS_ACCESS_KEY_ID: KEY_ID, AWS_SECRET_ACCESS_KEY: SECRET },
    objects: new Map(),
    clockMs: 0,
    busy: 0,
    puts: [],
    url: (prefix = "") => `s3://${BUCKET}/${prefix}?endpoint=${encodeURIComponent(endpoint)}&path-style=true`,
    [Symbol.asyncDispose]: () => close(http),
  };
  return s3;
}

async function close(http: Server): Promise<void> {
  http.closeAllConnections();
  http.close();
  await once(http, "close");
}

async function answer(s3: S3Server, request: IncomingMessage, response: ServerResponse): Promise<void> {
  response.setHeader("Date", new Date(Date.now() + s3.clockMs).toUTCString());
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  try {
    if (s3.busy-- > 0) throw new Refusal(503, "SlowDown");
    const body = Buffer.concat(parts);
    checkSignature(s3, request, body);
    serve(s3, request, { response, body });
  } catch (error) {
    const { status, code } = error instanceof Refusal ? error : new Refusal(500, "InternalError");
    response.writeHead(status, { "Content-Type": "application/xml" });
    response.end(
      request.method === "HEAD" ? undefined : `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`,
    );
  }
}

function serve(s3: S3Server, request: IncomingMessage, { response, body }: { response: ServerResponse; body: Buffer }): void {
  const [, bucket, ...rest] = decodeURIComponent((request.url ?? "").split("?")[0] ?? "").split("/");
  const key = rest.join("/");
  if (bucket !== BUCKET) throw new Refusal(404, "NoSuchBucket");
  const found = s3.objects.get(key);
  switch (request.method) {
    case "PUT":
      s3.objects.set(key, body);
      s3.puts.push(key);
      return void response.writeHead(200).end();
    case "DELETE":
      s3.objects.delete(key);
      return void response.writeHead(204).end();
    case "HEAD":
    case "GET":
      if (!found) throw new Refusal(404, "NoSuchKey");
      return void response.writeHead(200, { "Content-Length": found.length }).end(request.method === "GET" ? found : undefined);
    default:
      throw new Refusal(405, "MethodNotAllowed");
  }
}

/** As AWS's documentation of Signature Version 4 has it. */
function checkSignature(s3: S3Server, request: IncomingMessage, body: Buffer): void {
  const auth =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/;
  const [, keyId, day, region, names = "", signature] = auth.exec(request.headers.authorization ?? "") ?? [];
  if (keyId === undefined) throw new Refusal(403, "AccessDenied");
  if (keyId !== KEY_ID) throw new Refusal(403, "InvalidAccessKeyId");
  if (region !== REGION) throw new Refusal(400, "AuthorizationHeaderMalformed");
  const date = String(request.headers["x-amz-date"]);
  const at = Date.parse(date.replace(/(....)(..)(..)T(..)(..)(..)Z/, "$1-$2-$3T$4:$5:$6Z"));
  if (Math.abs(Date.now() + s3.clockMs - at) > MAX_SKEW_MS) throw new Refusal(403, "RequestTimeTooSkewed");
  const payload = String(request.headers["x-amz-content-sha256"]);
  if (payload !== "UNSIGNED-PAYLOAD" && payload !== sha256(body)) throw new Refusal(400, "XAmzContentSHA256Mismatch");
  const [path = "", query = ""] = (request.url ?? "").split("?");
  const headers = names
    .split(";")
    .map((name) => `${name}:${String(request.headers[name]).trim()}\n`)
    .join("");
  const canonical = [request.method, path, query.split("&").sort().join("&"), headers, names, payload].join("\n");
  const toSign = ["AWS4-HMAC-SHA256", date, `${day}/${region}/s3/aws4_request`, sha256(canonical)].join("\n");
  const key = [day, region, "s3", "aws4_request"].reduce<string | Buffer>((made, part) => hmac(made, String(part)), `AWS4${SECRET}`);
  if (hmac(key, toSign).toString("hex") !== signature) throw new Refusal(403, "SignatureDoesNotMatch");
}

const sha256 = (data: string | Buffer) => createHash("sha256").update(data).digest("hex");
const hmac = (key: string | Buffer, data: string) => createHmac("sha256", key).update(data).digest();
