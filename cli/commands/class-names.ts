import type { QueueClass } from "../../protocol/index.js";

/** The protocol's classes again, so that the command tree does not load it; the compiler compares them. */
export const CLASS_NAMES = ["front", "high", "normal", "low"] as const satisfies readonly QueueClass[];
