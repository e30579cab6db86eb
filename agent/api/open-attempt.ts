import { chmod, mkdir, unlink } from "node:fs/promises";
import { dirname } from "node:path";
import type { Companion } from "../task/companions.js";
import { eventsFile } from "../task/folder.js";
import type { OpenAttempt } from "./api.js";
import { Appender } from "./appender.js";
import type { ApiAttempt } from "./call.js";
import type { Door } from "./doors.js";
import { socketFolder } from "./socket-place.js";

interface Opening {
  listen: (attempt: ApiAttempt) => Promise<{ path: string; door: Door } | undefined>;
  forget: () => void;
}

/** An attempt's part of the API, from before its process starts until its reports are closed. */
export function openAttempt(
  { folder, isContained, ...parts }: OpenAttempt & Pick<ApiAttempt, "agent" | "navvy" | "onFault">,
  { listen, forget }: Opening,
): Companion {
  const attempt: ApiAttempt = { ...parts, folder, isContained, events: new Appender(eventsFile(folder, "http")) };
  let door: Door | undefined;
  const end = async () => {
    forget();
    door?.close();
    door = undefined;
    await attempt.events.close();
    await (await attempt.mlflow)?.close();
  };
  return {
    name: "api",
    async begin() {
      if (isContained) await mkdir(socketFolder(folder.root), { recursive: true });
      const opened = await listen(attempt);
      if (opened === undefined) return;
      await enter(opened.door, opened.path);
      door = opened.door;
      // Whoever the container runs as; on the host the folders above let in nobody else.
      if (isContained) await Promise.all([chmod(dirname(opened.path), 0o755), chmod(opened.path, 0o666)]);
    },
    finish: end,
    close: end,
  };
}

/** An agent that was killed has left its socket there. */
async function enter(door: Door, path: string): Promise<void> {
  try {
    await door.listen(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    await unlink(path);
    await door.listen(path);
  }
}
