export type { Triggered } from "./book.js";
export { mayMatch } from "./match.js";
export type { Delivered, SeenRecord } from "./records.js";
export { type NewTrigger, Triggers, type Verdict } from "./triggers.js";
