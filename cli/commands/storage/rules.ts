import { KEPT_KINDS, type Keep, type KeepLimit } from "../../../protocol/index.js";
import { duration, size } from "../../output/quantities.js";

/** `logs 30d · artifacts 90d, 50 GiB`; empty without rules. */
export function rulesOf(keep: Keep): string {
  return KEPT_KINDS.flatMap((kind) => (keep[kind] ? [`${kind} ${ruleOf(keep[kind])}`] : [])).join(" · ");
}

function ruleOf({ ageMs, bytes }: KeepLimit): string {
  const said = [ageMs ? duration(ageMs) : "", bytes ? size(bytes) : ""].filter((each) => each !== "");
  return said.length > 0 ? said.join(", ") : "forever";
}
