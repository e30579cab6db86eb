import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Once the daemon has settled. */
const COLLECT_AFTER_MS = 5_000;

/**
 * For a daemon that idles most of its life on a machine that belongs to others: the heap for young objects stays as small as
 * it begins, and what loading the program left behind is collected once. Call it before the daemon's code is loaded.
 */
export function keepHeapSmall(): void {
  setFlagsFromString("--semi-space-growth-factor=1");
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  setTimeout(collect, COLLECT_AFTER_MS).unref();
}
