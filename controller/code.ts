import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Navvy, packBundle, unpackBundle } from "../broker/index.js";
import type { CodeRef } from "../protocol/index.js";

/**
 * Packs a folder (what git tracks or would, minus `.navvyignore`) and uploads it; the same files are stored once.
 * `additions` are files that the bundle gets and the folder does not.
 * @throws NavvyError not_found, too_large, nats_unreachable
 */
export async function uploadCode(navvy: Navvy, folder: string, additions: Record<string, string> = {}): Promise<CodeRef> {
  const into = await mkdtemp(join(tmpdir(), "navvy-code-"));
  try {
    const packed = await packBundle(folder, { into });
    const whole = Object.keys(additions).length > 0 ? await packWith(packed.file, additions, into) : packed;
    await navvy.objects.putFile(whole.file);
    return { bundle: whole.sha256, sizeBytes: whole.sizeBytes, files: whole.files, origin: packed.origin };
  } finally {
    await rm(into, { recursive: true, force: true });
  }
}

async function packWith(bundle: string, additions: Record<string, string>, into: string) {
  const copy = join(into, "copy");
  await mkdir(copy);
  await unpackBundle(bundle, copy);
  for (const [name, text] of Object.entries(additions)) await writeFile(join(copy, name), text);
  return packBundle(copy, { into });
}
