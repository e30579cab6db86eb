import { execFileSync } from "node:child_process";
import { tempFolder } from "./folder.js";

/** A small disk of its own needs the right to mount one. */
export const canMount = process.getuid?.() === 0;

/** A disk in memory that is full soon. */
export async function smallDisk(sizeMiB: number): Promise<AsyncDisposable & { path: string }> {
  const folder = await tempFolder();
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${sizeMiB}m`, "tmpfs", folder.path]);
  return {
    path: folder.path,
    async [Symbol.asyncDispose]() {
      execFileSync("umount", ["-l", folder.path]);
      await folder[Symbol.asyncDispose]();
    },
  };
}
