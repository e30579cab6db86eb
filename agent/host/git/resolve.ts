import type { GitRef } from "../../../protocol/index.js";
import type { Git } from "./git.js";
import { noRemote, noSuchRef, shown } from "./refusals.js";

/** The commit that a branch or tag of the remote, or its HEAD, is at now. @throws NavvyError setup_failed */
export async function resolveRef(
  git: Git,
  { url, ref }: Pick<GitRef, "url" | "ref">,
  { signal, say }: { signal: AbortSignal; say: (line: string) => void },
): Promise<string> {
  say(`git ls-remote ${shown(url)} ${ref ?? "HEAD"}`);
  const names = ref === undefined ? ["HEAD"] : candidates(ref);
  const { isOk, stdout, lastLines } = await git.tryRemote(["ls-remote", "--", url, ...names], { signal, say });
  if (!isOk) throw noRemote(url, lastLines);
  const found = new Map(stdout.split("\n").map((line) => line.split("\t").reverse() as [string, string]));
  const name = names.find((each) => found.has(each));
  const commit = name === undefined ? undefined : found.get(name);
  if (commit === undefined) throw noSuchRef(url, ref);
  return commit;
}

/** A branch before a tag of the same name. An annotated tag is an object of its own: the commit is what it peels to. */
function candidates(ref: string): string[] {
  if (ref.startsWith("refs/")) return [`${ref}^{}`, ref];
  return [`refs/heads/${ref}`, `refs/tags/${ref}^{}`, `refs/tags/${ref}`];
}
