import { paint } from "../../output/words.js";

/** One finding of the doctor. */
export interface Check {
  id: string;
  status: "ok" | "warn" | "FAIL";
  text: string;
  why?: string;
  fix?: string[];
  /** What it was found in, for programs. */
  rows?: object[];
}

const STYLES = { ok: "green", warn: "yellow", FAIL: "red" } as const;

/** The findings and their sum, for people. */
export function describeChecks(checks: Check[]): string {
  const lines = checks.flatMap(describeCheck);
  const counts = (status: Check["status"]) => checks.filter((check) => check.status === status).length;
  const sum = [
    `${counts("ok")} ok`,
    counts("warn") ? `${counts("warn")} warning${counts("warn") === 1 ? "" : "s"}` : "",
    counts("FAIL") ? `${counts("FAIL")} failed` : "",
  ];
  return [...lines, `${checks.length} checks: ${sum.filter(Boolean).join(", ")}`].join("\n");
}

function describeCheck({ id, status, text, why, fix = [] }: Check): string[] {
  const indent = " ".repeat(8);
  return [
    ` ${paint(STYLES[status], status.padEnd(5))} ${id.padEnd(11)} ${text}`,
    ...(why ? [`${indent}why: ${why}`] : []),
    ...fix.map((line, i) => `${indent}${i === 0 ? "fix: " : "     "}${line}`),
  ];
}
