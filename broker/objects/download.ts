import { createHash } from "node:crypto";
import { NavvyError } from "../../protocol/index.js";
import type { Meta } from "./layout.js";
import { Pull } from "./pull.js";
import type { Store } from "./upload.js";

/**
 * The object's content in order, verified: size and sha256 are known only at the end, so the last step throws when they
 * do not match, and nobody may rely on the bytes before that.
 * @throws NavvyError corrupt, not_found (deleted meanwhile), timeout, nats_unreachable
 */
export async function* download(store: Store, meta: Meta): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  for await (const data of piecesOf(store, meta)) {
    hash.update(data);
    sizeBytes += data.length;
    yield data;
  }
  const sha256 = hash.digest("hex");
  if (sha256 === meta.name && sha256 === meta.sha256 && sizeBytes === meta.sizeBytes) return;
  throw corruptMeta(meta, `it holds ${sizeBytes} bytes with sha256 ${sha256}, expected were ${meta.sizeBytes}`);
}

/** As they are stored, not verified. */
export async function* piecesOf(store: Store, meta: Meta): AsyncGenerator<Uint8Array, void, undefined> {
  const { bus, link, layout } = store;
  const from = { stream: layout.stream, subject: layout.chunks(meta.nuid), fromSeq: 1 };
  let left = meta.chunks;
  let progressAt = performance.now();
  while (left > 0) {
    const pull = await Pull.open(bus, link, from);
    try {
      if (pull.pending !== left) throw await explainGap(store, meta, `${pull.pending} chunks are left where ${left} were expected`);
      for (let chunk = await pull.next(); chunk; chunk = await pull.next()) {
        from.fromSeq = chunk.seq + 1;
        left--;
        yield chunk.data;
        progressAt = performance.now();
      }
    } finally {
      pull.close();
    }
    if (left === 0) return;
    const patienceMs = progressAt + link.patienceMs - performance.now();
    if (patienceMs <= 0) throw link.gaveUp(`object ${meta.name}`, undefined);
    await link.settle(patienceMs);
  }
}

/** Chunks are missing: because the object was deleted under the reader, or because the store lost them. */
async function explainGap(store: Store, meta: Meta, why: string): Promise<NavvyError> {
  const now = await store.metas.read(meta.name);
  return now?.nuid === meta.nuid && !now.isDeleted ? corruptMeta(meta, why) : notFound(meta.name, "it was deleted while it was read");
}

export function corruptMeta(meta: Meta, why: string): NavvyError {
  return new NavvyError("corrupt", `object ${meta.name} does not match its checksum`, {
    why,
    fix: "produce it again: the stored copy is of no use",
    detail: { sha256: meta.name, sizeBytes: meta.sizeBytes, chunks: meta.chunks },
  });
}

export function notFound(sha256: string, why = "nothing with this sha256 was stored, or it was deleted"): NavvyError {
  return new NavvyError("not_found", `object ${sha256} is not in the store`, { why, detail: { sha256 } });
}
