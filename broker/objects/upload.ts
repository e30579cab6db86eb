import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { nuid as nuids } from "nats";
import { isNavvyError, NavvyError } from "../../protocol/index.js";
import type { Bus } from "../bus.js";
import { discard } from "./discard.js";
import type { Layout } from "./layout.js";
import type { Link } from "./link.js";
import type { Metas } from "./metas.js";
import { ChunkSender } from "./sender.js";
import type { Fill } from "./source.js";

export interface Stored {
  /** sha256 of the content, hex: the object's name. */
  sha256: string;
  sizeBytes: number;
  /** The store had this content already: nothing was added. */
  existed: boolean;
  /** Of large content: what was not there and had to be sent. */
  sentBytes?: number;
}

/** What one bucket's uploads and downloads work on. */
export interface Store {
  bus: Bus;
  link: Link;
  layout: Layout;
  metas: Metas;
}

/** A source that can be opened again is sent again from its start when the server lost chunks it had acknowledged. */
export interface UploadSource {
  open: () => Fill;
  canReopen: boolean;
  /** Right before it becomes visible: throws when the source is not what it was. */
  check?: () => Promise<void>;
}

/** How long a failed upload waits until its chunks are gone. */
const TIDY_MS = 5_000;

/**
 * Sends the content once, hashing on the way, and publishes its meta last: a reader sees all of it or nothing. The
 * chunks of an upload that fails, or that turns out to be there already, are removed.
 */
export async function upload(store: Store, source: UploadSource): Promise<Stored> {
  try {
    return await sendOnce(store, source);
  } catch (error) {
    if (!source.canReopen || !isNavvyError(error, "corrupt")) throw error;
    return sendOnce(store, source);
  }
}

async function sendOnce(store: Store, { open, check }: UploadSource): Promise<Stored> {
  const nuid = nuids.next();
  const subject = store.layout.chunks(nuid);
  const sender = new ChunkSender(store.bus, store.link, { stream: store.layout.stream, subject, nuid });
  let isKept = false;
  try {
    const { sha256, sizeBytes } = await sendAll(sender, open());
    await check?.();
    if (sender.hadTrouble) await countChunks(store, subject, sender.count);
    const meta = { name: sha256, nuid, sizeBytes, chunks: sender.count, sha256, storedAt: new Date().toISOString(), isDeleted: false };
    isKept = (await store.metas.publish(meta, sender.chunkBytes)) !== undefined;
    return { sha256, sizeBytes, existed: !isKept };
  } finally {
    if (!isKept) {
      await sender.abandon();
      // The upload's own error matters more; with the server away the rest is removed once it is back within our patience.
      await Promise.race([discard(store, subject).catch(() => undefined), delay(TIDY_MS, undefined, { ref: false })]);
    }
  }
}

async function sendAll(sender: ChunkSender, fill: Fill): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for (;;) {
    const buffer = await sender.room();
    const length = await fill(buffer);
    sizeBytes += length;
    if (length > 0) {
      hash.update(buffer.subarray(0, length));
      sender.send(buffer, length);
    }
    if (length < buffer.length) break;
  }
  await sender.flush();
  return { sha256: hash.digest("hex"), sizeBytes };
}

/** A server that died may have lost what it had acknowledged, or stored one chunk twice. */
export async function countChunks({ bus, link, layout }: Store, subject: string, expected: number): Promise<void> {
  const info = await link.persist(() => bus.jsm.streams.info(layout.stream, { subjects_filter: subject }));
  const stored = info.state.subjects?.[subject] ?? 0;
  if (stored === expected) return;
  throw new NavvyError("corrupt", `upload: the server holds ${stored} chunks of ${expected} that it acknowledged`, {
    detail: { stored, expected },
    why: "it was restarted or failed over in the middle of the upload",
    fix: "send it again",
  });
}
