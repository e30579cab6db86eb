import { homedir } from "node:os";
import { join } from "node:path";

/** Where navvy keeps what belongs to this user: `$XDG_DATA_HOME/navvy`. */
export function dataFolder(env: NodeJS.ProcessEnv): string {
  return join(env.XDG_DATA_HOME || join(env.HOME || homedir(), ".local", "share"), "navvy");
}
