import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Navvy, packBundle } from "../broker/index.js";
import type { CodeRef } from "../protocol/index.js";

/**
 * Packs a folder (what git tracks or would, minus `.navvyignore`) and uploads it; the same files are stored once.
 * @throws NavvyError not_found, too_large, nats_unreachable
 */
export async function uploadCode(navvy: Navvy, folder: string): Promise<CodeRef> {
  const into = await mkdtemp(join(tmpdir(), "navvy-code-"));
  try {
    const { file, sha256, sizeBytes, files, origin } = await packBundle(folder, { into });
    await navvy.objects.putFile(file);
    return { bundle: sha256, sizeBytes, files, origin };
  } finally {
    await rm(into, { recursive: true, force: true });
  }
}
