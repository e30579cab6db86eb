import { Option } from "commander";
import type { OnDisconnect } from "../../protocol/index.js";

/** The protocol's words again, so that the command tree does not load it; the compiler compares them. */
const NAMES = ["freeze", "continue", "kill"] as const satisfies readonly OnDisconnect[];

/** What becomes of a running task whose agent can not keep its lease. */
export function onDisconnectOption(whenNotGiven: string): Option {
  const about = `when its agent is cut off: stand still, run on (nobody else is given it), or end (default: ${whenNotGiven})`;
  return new Option("--on-disconnect <what>", about).choices([...NAMES]);
}
