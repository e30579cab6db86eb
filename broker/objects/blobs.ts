import { createHash } from "node:crypto";
import { nuid as nuids } from "nats";
import type { Blobs } from "../contents/content-store.js";
import { discard } from "./discard.js";
import { corruptMeta, piecesOf } from "./download.js";
import type { Meta } from "./layout.js";
import { ChunkSender } from "./sender.js";
import { countChunks, type Store } from "./upload.js";

/** Pieces of large content as objects of the bucket, from and into memory. */
export class ObjectBlobs implements Blobs {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async size(name: string): Promise<number | undefined> {
    return (await this.read(name))?.sizeBytes;
  }

  async put(name: string, bytes: Uint8Array): Promise<number | undefined> {
    const nuid = nuids.next();
    const { bus, link, layout, metas } = this.#store;
    const subject = layout.chunks(nuid);
    const sender = new ChunkSender(bus, link, { stream: layout.stream, subject, nuid });
    let revision: number | undefined;
    try {
      for (let at = 0; at < bytes.length; at += sender.chunkBytes) await sender.sendFrom(bytes.subarray(at, at + sender.chunkBytes));
      await sender.flush();
      if (sender.hadTrouble) await countChunks(this.#store, subject, sender.count);
      const sha256 = /^[0-9a-f]{64}$/.test(name) ? name : createHash("sha256").update(bytes).digest("hex");
      const meta = {
        name,
        nuid,
        sizeBytes: bytes.length,
        chunks: sender.count,
        sha256,
        storedAt: new Date().toISOString(),
        isDeleted: false,
      };
      revision = await metas.publish(meta, sender.chunkBytes, { isNew: true });
      return revision;
    } finally {
      if (revision === undefined) {
        await sender.abandon();
        await discard(this.#store, subject).catch(() => undefined); // the upload's own error matters more
      }
    }
  }

  async get(name: string): Promise<Uint8Array | undefined> {
    const meta = await this.read(name);
    if (!meta) return undefined;
    const bytes = Buffer.allocUnsafe(meta.sizeBytes);
    let length = 0;
    for await (const piece of piecesOf(this.#store, meta)) {
      if (length + piece.length > bytes.length) throw corruptMeta(meta, `it holds more than ${meta.sizeBytes} bytes`);
      bytes.set(piece, length);
      length += piece.length;
    }
    if (length !== bytes.length) throw corruptMeta(meta, `it holds ${length} bytes, expected were ${meta.sizeBytes}`);
    return bytes;
  }

  claim(name: string): Promise<boolean> {
    return this.#store.metas.claim(name);
  }

  async delete(name: string, revision?: number): Promise<boolean> {
    const { metas, layout } = this.#store;
    const gone = await metas.delete(name, revision);
    if (!gone) return false;
    await discard(this.#store, layout.chunks(gone.nuid));
    await metas.forget(name);
    return true;
  }

  /** What its meta says; undefined when it is not there. */
  async read(name: string): Promise<Meta | undefined> {
    const meta = await this.#store.metas.read(name);
    return meta?.isDeleted ? undefined : meta;
  }
}
