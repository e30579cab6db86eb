import { fileURLToPath } from "node:url";
import { execa, execaSync } from "execa";
import type { Reporting } from "./reporting.js";

/** This machine's Python by its path: what chooses among several by their name takes longer than most programs. */
export const PYTHON = execaSync("python3", ["-c", "import sys; print(sys.executable)"]).stdout;
/** Where navvy.py lies. */
export const NAVVY_PY = fileURLToPath(new URL("../../task/python", import.meta.url));

/** Runs a program that has imported navvy, with no package of the machine's but what the standard library has. */
export const python = (inside: Pick<Reporting, "env"> | undefined, code: string, env: Record<string, string> = {}) =>
  execa(PYTHON, ["-S", "-B", "-c", `import navvy\n${code}`], {
    env: { PATH: process.env["PATH"] ?? "", PYTHONPATH: NAVVY_PY, ...inside?.env, ...env },
    extendEnv: false,
    reject: false,
    timeout: 30_000,
  });
