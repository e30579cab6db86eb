import { isNavvyError, MANIFEST_NAME } from "../../protocol/index.js";
import { artifactObjects, type ContentRef } from "../artifacts.js";
import { WHOLE_BYTES } from "../contents/chunk-list.js";
import type { ContentStore } from "../contents/content-store.js";

const SHA256 = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g;
const MAX_MANIFEST_BYTES = 256 * 1024 * 1024;

/** What is needed to follow a reference that is not in the record itself. */
export interface ReferenceParts {
  objects: ContentStore;
}

/** One more step from a record to objects that it refers to; a part that keeps references elsewhere adds its own below. */
type Indirect = (record: unknown, parts: ReferenceParts) => AsyncGenerator<string>;

const INDIRECT: Indirect[] = [manifests, contents];

/**
 * Every object that a task's record keeps alive: what removes objects asks here and nowhere else. Takes the record as it stands on
 * NATS, undecoded: anything in it that looks like a sha256 counts, so that also what a newer navvy wrote there is never taken for
 * garbage. The same name may come more than once.
 * @throws NavvyError when something that names more objects could not be read: then nobody knows what is garbage
 */
export async function* referencesOf(record: unknown, parts: ReferenceParts): AsyncGenerator<string> {
  yield* namedIn(record);
  // A record that is damaged: whatever it names may be large.
  if (typeof record === "string") for (const sha256 of namedInText(record)) yield* partsOf({ sha256 }, parts);
  for (const follow of INDIRECT) yield* follow(record, parts);
}

/** A record names a hundred artifacts; with more, its manifest names all of them. */
async function* manifests(record: unknown, parts: ReferenceParts): AsyncGenerator<string> {
  const { objects } = parts;
  if (typeof record !== "object") return;
  const { reported } = record as { reported?: { artifacts?: { name?: unknown; kind?: unknown; sha256?: unknown }[] } };
  for (const { name, kind, sha256 } of reported?.artifacts ?? []) {
    if (name !== MANIFEST_NAME || kind !== "manifest" || typeof sha256 !== "string") continue;
    const bytes = await objects.getBytes(sha256, { maxBytes: MAX_MANIFEST_BYTES }).catch((error: unknown) => {
      if (isNavvyError(error, "not_found")) return undefined; // gone: nobody can reach what it named
      throw error;
    });
    if (!bytes) continue;
    const text = Buffer.from(bytes).toString("utf8");
    yield* namedInText(text);
    yield* contents(parsed(text), parts);
  }
}

/** Folders name their files, and large content lies in chunks: also code, whose reference has its hash as `bundle`. */
async function* contents(value: unknown, parts: ReferenceParts): AsyncGenerator<string> {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
  const { sha256, bundle, sizeBytes, files, store } = value as Record<string, unknown>;
  const isLarge = typeof sizeBytes === "number" && sizeBytes > WHOLE_BYTES;
  if (typeof bundle === "string" && isLarge) yield* partsOf({ sha256: bundle }, parts);
  if (typeof sha256 === "string" && typeof sizeBytes === "number" && (files !== undefined || isLarge)) {
    const ref = { sha256, ...(typeof files === "number" ? { files } : {}), ...(typeof store === "string" ? { store } : {}) };
    yield* partsOf(ref, parts);
  }
  for (const each of Object.values(value)) yield* contents(each, parts);
}

/** @throws NavvyError corrupt: it can not be read just now, or only by a newer navvy: then nobody knows what it is made of */
async function* partsOf(ref: ContentRef, { objects }: ReferenceParts): AsyncGenerator<string> {
  try {
    yield* artifactObjects(ref, objects);
  } catch (error) {
    if (!isNavvyError(error, "not_found")) throw error; // nobody can reach what it named
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // what can be read of it counts
  }
}

/** Every sha256 in any text of a value. */
function* namedIn(value: unknown): Generator<string> {
  if (typeof value === "string") yield* namedInText(value);
  else if (typeof value === "object" && value !== null && !ArrayBuffer.isView(value))
    for (const [key, each] of Object.entries(value)) {
      yield* namedInText(key);
      yield* namedIn(each);
    }
}

function* namedInText(text: string): Generator<string> {
  if (text.length < 64) return;
  for (const [found] of text.matchAll(SHA256)) yield found;
}
