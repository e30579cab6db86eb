import { type FileProblem, problemLine, readPipelineFile } from "../../../controller/file/index.js";
import { isNavvyError } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";
import { EXIT } from "../../exit-codes.js";

/** `navvy pipeline check FILE…`: every problem a line; exits with 2 if there is one. */
export const check: Handler<[string[]]> = async ({ out }, files) => {
  const problems = (await Promise.all(files.map(problemsOf))).flat();
  if (out.isData) out.list({ kind: "pipeline-problem", columns: [], name: problemLine, empty: "" }, problems);
  else for (const problem of problems) out.line(shown(problem, problems));
  if (problems.length > 0) out.talk(problems.length === 1 ? "1 error" : `${problems.length} errors`);
  else out.talk(`✔ ${files.join(", ")}`);
  return problems.length > 0 ? EXIT.usage : EXIT.ok;
};

async function problemsOf(file: string): Promise<FileProblem[]> {
  try {
    await readPipelineFile(file);
    return [];
  } catch (error) {
    if (!isNavvyError(error, "invalid_argument")) throw error;
    return error.detail["problems"] as FileProblem[];
  }
}

/** What is wrong in a column of its own, and below it what to do. */
function shown(problem: FileProblem, all: FileProblem[]): string {
  const place = ({ file, line, column }: FileProblem) => `${file}:${line}:${column}`;
  const width = Math.max(...all.map((each) => place(each).length)) + 2;
  const indent = " ".repeat(width);
  const text = problemLine(problem).slice(place(problem).length).trimStart().replaceAll("\n", `\n${indent}`);
  return `${place(problem).padEnd(width)}${text}${problem.fix === undefined ? "" : `\n${indent}fix: ${problem.fix}`}`;
}
