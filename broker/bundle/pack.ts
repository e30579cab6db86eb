import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { ulid } from "ulid";
import { type CodeRef, NavvyError } from "../../protocol/index.js";
import { type BundleEntry, readEntries } from "./entries.js";
import { listFolder } from "./list.js";
import { tarOf } from "./tar.js";

const MIB = 1024 * 1024;
const MAX_BYTES_DEFAULT = 256 * MIB;
const GZIP_LEVEL = 6;
/** Where a gzip header names the operating system, and the value for "not known". */
const GZIP_OS_AT = 9;
const GZIP_OS_UNKNOWN = 255;
const LARGEST_SHOWN = 5;

export interface PackedBundle {
  /** The packed file, named `<sha256>.tar.gz`; whoever packed it removes it. */
  file: string;
  sha256: string;
  /** Of the packed file. */
  sizeBytes: number;
  /** How many files and links are in it. */
  files: number;
  origin: NonNullable<CodeRef["origin"]>;
}

/**
 * Packs a folder's code into one file in the folder `into`. The same files give the same sha256 wherever and whenever
 * they are packed: no times, no owners, no order of the disk's.
 *
 * Inside a git checkout: what git tracks, and what is new and not ignored. Elsewhere everything but `.git` and
 * `node_modules`. A `.navvyignore` (gitignore syntax) leaves out more in both cases. Empty folders are not kept.
 *
 * `maxBytes` (default 256 MiB) bounds the content before packing, which is what every agent unpacks.
 * @throws NavvyError too_large, invalid_argument (nothing to pack, a link that leaves the folder), not_found, setup_failed
 * (git), conflict (a file changed meanwhile)
 */
export async function packBundle(folder: string, options: { into: string; maxBytes?: number }): Promise<PackedBundle> {
  const root = await requireFolder(folder);
  const { paths, origin } = await listFolder(root);
  const entries = await readEntries(root, paths);
  if (entries.length === 0) throw nothingToPack(root);
  refuseTooLarge(root, entries, options.maxBytes ?? MAX_BYTES_DEFAULT);
  const part = join(options.into, `${ulid()}.part`);
  try {
    const packed = await write(root, entries, part);
    const file = join(options.into, `${packed.sha256}.tar.gz`);
    await rename(part, file);
    return { file, ...packed, files: entries.length, origin };
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

async function write(root: string, entries: BundleEntry[], file: string): Promise<{ sha256: string; sizeBytes: number }> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  const tap = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      // zlib puts the packing machine's system there; it is no part of any checksum.
      if (sizeBytes <= GZIP_OS_AT && sizeBytes + chunk.length > GZIP_OS_AT) chunk[GZIP_OS_AT - sizeBytes] = GZIP_OS_UNKNOWN;
      hash.update(chunk);
      sizeBytes += chunk.length;
      done(null, chunk);
    },
  });
  const tar = tarOf(root, entries);
  const ends = await Promise.allSettled([
    pipeline(Readable.fromWeb(tar.readable), createGzip({ level: GZIP_LEVEL }), tap, createWriteStream(file, { flags: "wx" })),
    tar.done,
  ]);
  // The tar's own reason first: the pipeline only hears that it broke off.
  for (const end of ends.reverse()) if (end.status === "rejected") throw end.reason;
  return { sha256: hash.digest("hex"), sizeBytes };
}

async function requireFolder(folder: string): Promise<string> {
  const root = resolve(folder);
  const found = await stat(root).catch((cause: Error) => {
    throw new NavvyError("not_found", `folder ${root} can not be packed`, { cause, why: cause.message });
  });
  if (found.isDirectory()) return root;
  throw new NavvyError("invalid_argument", `${root} is not a folder`, { fix: "name the folder that holds the code" });
}

function nothingToPack(root: string): NavvyError {
  return new NavvyError("invalid_argument", `folder ${root} holds nothing to pack`, {
    why: "it is empty, or .gitignore and .navvyignore leave nothing of it",
    fix: "name the folder that holds the code",
  });
}

function refuseTooLarge(root: string, entries: BundleEntry[], maxBytes: number): void {
  const totalBytes = entries.reduce((sum, entry) => sum + entry.sizeBytes, 0);
  if (totalBytes <= maxBytes) return;
  const largest = entries.toSorted((a, b) => b.sizeBytes - a.sizeBytes).slice(0, LARGEST_SHOWN);
  const shown = largest.map((entry) => `${entry.path} (${inMib(entry.sizeBytes)})`);
  throw new NavvyError("too_large", `bundle of ${root} is ${inMib(totalBytes)}, over the limit of ${inMib(maxBytes)}`, {
    why: `the largest files: ${shown.join(", ")}`,
    fix: largest
      .slice(0, 1)
      .map((entry) => `leave out what the task does not need: echo ${JSON.stringify(`/${entry.path}`)} >> .navvyignore`),
    detail: { totalBytes, maxBytes, largest: largest.map(({ path, sizeBytes }) => ({ path, sizeBytes })) },
  });
}

function inMib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
