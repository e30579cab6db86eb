import { fileURLToPath } from "node:url";
import { execa } from "execa";
import type { Handler } from "../../call.js";

const SCRIPT = fileURLToPath(new URL("../../../task/shell/navvy-report", import.meta.url));

/** `navvy report WORDS…`: the script that tasks without Node use, so both say and take the same. */
export const report: Handler<[string[]]> = async (_call, words) => {
  const { exitCode } = await execa("sh", [SCRIPT, ...words], { stdio: "inherit", reject: false });
  return exitCode ?? 1;
};
