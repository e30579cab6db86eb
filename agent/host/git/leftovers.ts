import { readdir, readFile } from "node:fs/promises";
import { MARK } from "./environment.js";

/**
 * Kills what an agent that was killed left fetching into this folder: it would hold locks there, or write beside the next fetch.
 * To be called before this agent starts the first git of its own. Without `/proc` nothing is found; git's own locks then decide.
 */
export async function killLeftovers(mark: string): Promise<void> {
  const pids = (await readdir("/proc").catch(() => [])).filter((name) => /^\d+$/.test(name));
  await Promise.all(
    pids.map(async (pid) => {
      const environment = await readFile(`/proc/${pid}/environ`, "utf8").catch(() => ""); // another user's, or gone
      if (!`\0${environment}`.includes(`\0${MARK}=${mark}\0`)) return;
      try {
        process.kill(Number(pid), "SIGKILL");
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // it has ended
      }
    }),
  );
}
