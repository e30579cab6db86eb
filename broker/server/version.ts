import { run } from "./run.js";

/** What the embedded server must at least be: JetStream of older ones lacks what the broker relies on. */
export const OLDEST = "2.9.0";

/**
 * The version a nats-server binary reports, such as `2.9.10`.
 * Undefined when the file can not be run or is something else.
 */
export async function versionOf(path: string, env?: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { stdout } = await run(path, ["--version"], { env, timeoutMs: 10_000 });
  return /^nats-server: v(\d+\.\d+\.\d+\S*)/m.exec(stdout)?.[1];
}

/** Orders versions by their numbers: negative when `a` is older. What follows the third number is not looked at. */
export function compareVersions(a: string, b: string): number {
  const left = numbers(a);
  const right = numbers(b);
  for (let at = 0; at < 3; at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function numbers(version: string): number[] {
  return version.split(/[.-]/).map((part) => Number.parseInt(part, 10) || 0);
}
