import { execaSync } from "execa";

/** This machine's Python by its path: what chooses among several by their name takes longer than most programs. */
export const PYTHON = execaSync("python3", ["-c", "import sys; print(sys.executable)"]).stdout;
