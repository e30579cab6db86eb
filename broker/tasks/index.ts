export { afterOutcome } from "./after-outcome.js";
export { type Claim, type ClaimOptions, type Claims, type Held, type Settled } from "./claims.js";
export { type CloneOverrides, DEFAULT_PROJECT, derivedId, type NewTask } from "./draft.js";
export type { TaskFilter } from "./find.js";
export { fireOnce } from "./fire-once.js";
export type { EnqueueOptions } from "./place.js";
export { type AbortProgress, Tasks } from "./tasks.js";
export type { WaitOptions } from "./wait.js";
