import { readFile } from "node:fs/promises";
import { run } from "./run.js";

/**
 * When a process was born, in words that only serve to be compared: a number alone may since belong to another process.
 * Undefined when there is no such process, or only its remains.
 */
export async function birthOf(pid: number): Promise<string | undefined> {
  if (!isAlive(pid)) return undefined;
  if (process.platform !== "linux") return (await run("ps", ["-o", "lstart=", "-p", String(pid)])).stdout.trim() || undefined;
  // Gone between the two looks.
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // The name in parentheses may hold blanks and parentheses; the fields that count come after its end.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? undefined : fields[19];
}

/** Whether a process of that number exists on this machine. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Someone else's process: alive, though not ours to signal.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
