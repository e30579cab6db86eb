/** One thing that must never be, and was. */
export interface Violation {
  rule: Rule;
  /** Whose; undefined: the fleet's. */
  task?: string;
  text: string;
}

/** What the checker asserts, in the words of its table. */
export const RULES = [
  "exactly one recorded outcome",
  "the outcome is the right one",
  "no two attempts at once",
  "the log is byte-exact",
  "the sums match",
  "artifacts are whole",
  "nothing is left behind",
] as const;
export type Rule = (typeof RULES)[number];
