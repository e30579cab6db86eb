import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { packBundle } from "../../broker/index.js";
import type { CodeRef } from "../../protocol/index.js";
import type { Client } from "./agent.js";
import { tempFolder } from "./folder.js";

/** Sends files along as a task's code, by name and content. */
export async function sendCode(c: Client, files: Record<string, string | Uint8Array>): Promise<CodeRef> {
  await using folder = await tempFolder();
  await using into = await tempFolder();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder.path, name)), { recursive: true });
    await writeFile(join(folder.path, name), content);
  }
  const { file, sha256, sizeBytes } = await packBundle(folder.path, { into: into.path });
  await c.navvy.objects.putFile(file);
  return { bundle: sha256, sizeBytes };
}
