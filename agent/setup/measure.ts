import { lstat, readdir } from "node:fs/promises";
import { join } from "node:path";

/** Bytes on the disk of a folder and everything in it; what vanishes meanwhile does not count. */
export async function measureFolder(path: string): Promise<number> {
  const entries = await readdir(path, { withFileTypes: true }).catch(() => []);
  let bytes = 0;
  // One folder at a time: a large environment is no reason to open thousands of files at once.
  const files = entries.filter((entry) => !entry.isDirectory());
  const sizes = await Promise.all(
    files.map(({ name }) =>
      lstat(join(path, name)).then(
        ({ blocks }) => blocks * BLOCK_BYTES,
        () => 0,
      ),
    ),
  );
  for (const size of sizes) bytes += size;
  for (const entry of entries) if (entry.isDirectory()) bytes += await measureFolder(join(path, entry.name));
  return bytes;
}

/** What `stat` counts in, whatever the file system's own blocks are. */
const BLOCK_BYTES = 512;
