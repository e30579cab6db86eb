const LIMIT_MS = 10_000;

/**
 * Gives the disk of a part of a file back; the file keeps its size, and the part reads as zeros.
 * @returns why it could not be done: a file system without holes, or no such program
 */
export async function giveBackDisk(path: string, { from, to }: { from: number; to: number }): Promise<string | undefined> {
  const { execa } = await import("execa");
  const args = ["--punch-hole", "--offset", String(from), "--length", String(to - from), path];
  const { failed, code, stderr, shortMessage } = await execa("fallocate", args, { reject: false, stdin: "ignore", timeout: LIMIT_MS });
  if (!failed) return undefined;
  return code === "ENOENT" ? "there is no program fallocate" : stderr.trim() || shortMessage;
}
