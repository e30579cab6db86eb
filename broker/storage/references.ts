import { isNavvyError } from "../../protocol/index.js";
import type { Objects } from "../objects.js";

const SHA256 = /(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])/g;
const MAX_MANIFEST_BYTES = 256 * 1024 * 1024;

/** What is needed to follow a reference that is not in the record itself. */
export interface ReferenceParts {
  objects: Pick<Objects, "getBytes">;
}

/** One more step from a record to objects that it refers to; a part that keeps references elsewhere adds its own below. */
type Indirect = (record: unknown, parts: ReferenceParts) => AsyncGenerator<string>;

const INDIRECT: Indirect[] = [manifests];

/**
 * Every object that a task's record keeps alive: what removes objects asks here and nowhere else. Takes the record as it stands on
 * NATS, undecoded: anything in it that looks like a sha256 counts, so that also what a newer navvy wrote there is never taken for
 * garbage. The same name may come more than once.
 * @throws NavvyError when something that names more objects could not be read: then nobody knows what is garbage
 */
export async function* referencesOf(record: unknown, parts: ReferenceParts): AsyncGenerator<string> {
  yield* namedIn(record);
  for (const follow of INDIRECT) yield* follow(record, parts);
}

/** A record names a hundred artifacts; with more, its manifest names all of them. */
async function* manifests(record: unknown, { objects }: ReferenceParts): AsyncGenerator<string> {
  if (typeof record !== "object") return;
  const { reported } = record as { reported?: { artifacts?: { kind?: unknown; sha256?: unknown }[] } };
  for (const { kind, sha256 } of reported?.artifacts ?? []) {
    if (kind !== "manifest" || typeof sha256 !== "string") continue;
    const bytes = await objects.getBytes(sha256, { maxBytes: MAX_MANIFEST_BYTES }).catch((error: unknown) => {
      if (isNavvyError(error, "not_found")) return undefined; // gone: nobody can reach what it named
      throw error;
    });
    if (bytes) yield* namedInText(Buffer.from(bytes).toString("latin1"));
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
