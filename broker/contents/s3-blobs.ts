import type * as Client from "@aws-sdk/client-s3";
import type { S3Client } from "@aws-sdk/client-s3";
import { NavvyError } from "../../protocol/index.js";
import type { Blobs } from "./content-store.js";
import { translateS3 } from "./s3-errors.js";
import type { StorePlace } from "./store-url.js";

type S3Place = Extract<StorePlace, { kind: "s3" }>;
type Sdk = typeof Client;

/** In one request; chunks are far below it, and so no upload in parts is ever left half done. */
const MAX_GET_BYTES = 64 * 1024 * 1024;
const CONNECT_MS = 5_000;
const REQUEST_MS = 60_000;

/**
 * Pieces in a bucket of S3, or of what speaks it: `<prefix>/<name>`. Credentials are found as AWS's own tools find them (variables,
 * files, the machine's role); nothing of them is kept here.
 */
export class S3Blobs implements Blobs {
  readonly #place: S3Place;
  #client: Promise<{ sdk: Sdk; client: S3Client }> | undefined;

  constructor(place: S3Place) {
    this.#place = place;
  }

  /** Nothing is collected here. */
  async claim(name: string): Promise<boolean> {
    return (await this.size(name)) !== undefined;
  }

  async size(name: string): Promise<number | undefined> {
    return this.#call(name, async ({ sdk, client }, at) => (await client.send(new sdk.HeadObjectCommand(at))).ContentLength ?? 0);
  }

  async put(name: string, bytes: Uint8Array): Promise<undefined> {
    const done = await this.#call(name, async ({ sdk, client }, at) => {
      await client.send(new sdk.PutObjectCommand({ ...at, Body: bytes, ContentLength: bytes.length }));
      return true;
    });
    if (!done) throw translateS3({ name: "NoSuchBucket" }, this.#place, name);
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    return this.#call(name, async ({ sdk, client }, at) => {
      const found = await client.send(new sdk.GetObjectCommand(at));
      if ((found.ContentLength ?? 0) > MAX_GET_BYTES)
        throw new NavvyError("corrupt", `s3://${at.Bucket}/${at.Key} holds ${found.ContentLength} bytes: it is none of ours`);
      return found.Body?.transformToByteArray();
    });
  }

  async delete(name: string): Promise<boolean> {
    const done = await this.#call(name, async ({ sdk, client }, at) => {
      await client.send(new sdk.DeleteObjectCommand(at));
      return true;
    });
    return done ?? false;
  }

  /** Undefined: there is no such object. */
  async #call<T>(
    name: string,
    act: (sdk: { sdk: Sdk; client: S3Client }, at: { Bucket: string; Key: string }) => Promise<T>,
  ): Promise<T | undefined> {
    const { bucket, prefix } = this.#place;
    try {
      this.#client ??= open(this.#place);
      return await act(await this.#client, { Bucket: bucket, Key: prefix ? `${prefix}/${name}` : name });
    } catch (error) {
      const { name: kind, $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } };
      if (kind === "NoSuchKey" || kind === "NotFound" || ($metadata?.httpStatusCode === 404 && kind !== "NoSuchBucket")) return undefined;
      throw translateS3(error, this.#place, name);
    }
  }
}

/** Loaded only by those who use such a store: it is large. Checksums of its own are not asked for: not all that speaks S3 knows them. */
async function open({ endpoint, region, pathStyle }: S3Place): Promise<{ sdk: Sdk; client: S3Client }> {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true"; // it would print about Node 20 into what we print
  const sdk = await import("@aws-sdk/client-s3");
  const client = new sdk.S3Client({
    ...(endpoint ? { endpoint, region: region ?? process.env.AWS_REGION ?? "us-east-1" } : region ? { region } : {}),
    forcePathStyle: pathStyle,
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    maxAttempts: 4,
    requestHandler: { connectionTimeout: CONNECT_MS, requestTimeout: REQUEST_MS },
  });
  return { sdk, client };
}
