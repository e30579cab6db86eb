import type { Claim } from "../../broker/index.js";

/** Names an attempt on its machine. */
export function keyOf(attempt: Pick<Claim, "id" | "attempt">): string {
  return `${attempt.id}.${attempt.attempt}`;
}
