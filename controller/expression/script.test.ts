import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isNavvyError, type ParameterValue } from "../../protocol/index.js";
import { fillScript, type Scope } from "./index.js";

const scopeOf = (params: Record<string, ParameterValue>): Scope => ({
  params,
  run: { id: "R1", name: "p", project: "lab", version: "1", number: 1, startedAt: "" },
  step: (name) => ({ name, state: "completed" }),
  status: { success: true, failure: false },
  pathOf: () => "",
  now: "",
});
const filled = (script: string, params: Record<string, ParameterValue> = { x: "it's; rm -rf $HOME", n: 3, list: ["a b", "$c"] }) =>
  fillScript(script, scopeOf(params));

const SHELLS = [["sh"], ["bash", "--posix"], ["bash"]].filter(([name]) => existsSync(`/bin/${name}`));

function run(shell: string[], script: string): string {
  const { stdout, stderr, status } = spawnSync(shell[0]!, [...shell.slice(1), "-c", script], {
    encoding: "utf8",
    env: { PATH: process.env["PATH"], HOME: "/h" },
  });
  if (status !== 0) throw new Error(`${script}\nended with ${status}: ${stderr}`);
  return stdout;
}

/** Places for a value, and what is printed then: `X` stands for the value. */
const PLACES: [script: string, printed: string][] = [
  ["printf '%s|' ${params.x} b", "X|b|"],
  ["printf '%s|' a${params.x}b", "aXb|"],
  ['printf "%s|" "a ${params.x} b"', "a X b|"],
  ["printf '%s|' 'a ${params.x} b'", "a X b|"],
  ["printf '%s|' \"\\\"'${params.x}'\\\\\"", "\"'X'\\|"],
  ["printf '%s|' \"$(printf %s. ${params.x})\"", "X.|"],
  ["printf '%s|' \"$(printf %s. \"${params.x}\" '${params.x}')\"", "X.X.|"],
  ["# it's \"\nprintf '%s|' ${params.x}", "X|"],
  ["printf '%s|' a#'${params.x}' # it's\nprintf '%s|' \"${params.x}\"", "a#X|X|"],
  ["printf '%s|' $(echo 1)#'${params.x}'", "1#X|"],
  ["cat <<EOF\nit's \"\nEOF\nprintf '%s|' ${params.x}", "it's \"\nX|"],
  ["cat <<-'E F' | cat\n\t`'\n\tE F\nprintf '%s|' '${params.x}'", "`'\nX|"],
  ["cat <<A; cat <<\"B\"\n1 ' $HOME\nA\n\"\nB\nprintf '%s|' ${params.x}", "1 ' /h\n\"\nX|"],
  ["printf '%s|' ${unset:-${params.x}}", "X|"],
  ["V=${params.x}; printf '%s|' \"$V\"", "X|"],
  ["printf '%s|' $((1 + ${params.n})) \"$((2 * ${params.n}))\" ${params.x}", "4|6|X|"],
  ["case a in (a) printf '%s|' ${params.x};; esac; (printf '%s|' '${params.x}')", "X|X|"],
  ["f() { printf '%s|' \"$1\"; }; f ${params.x}", "X|"],
  ["printf '%s|' `printf a` \"`printf b`\" ${params.x}", "a|b|X|"],
  ["printf '%s|' \\' \\\" \"\\$\" ${params.x}", "'|\"|$|X|"],
];

describe("a script", () => {
  const hostile = fc.oneof(
    fc.constantFrom(
      "'; echo bad; '",
      '"; echo bad; "',
      "$(echo bad)",
      "`echo bad`",
      "\\",
      "\\'",
      "a\nEOF\necho bad",
      "",
      "-n",
      "*",
      "~",
      "#",
      "${HOME}",
      "!",
      "x\ty ",
    ),
    fc.string({ unit: fc.constantFrom(...Array.from("'\"\\$`!#(){}[]<>|&;*?~ \n\tab=-%é")) }),
  );
  test.each(SHELLS)("keeps every value one argument, wherever it stands, in %s", (...shell) => {
    fc.assert(
      fc.property(hostile, (value) => {
        const script = PLACES.map(([each]) => each).join("\n");
        const printed = PLACES.map(([, each]) => each).join("");
        expect(run(shell, filled(script, { x: value, n: 3 }))).toBe(printed.replaceAll("X", () => value));
      }),
      { numRuns: 10 },
    );
  });

  test("is one fixed text for each place", () => {
    expect(filled("echo ${params.x} \"${params.x}\" '${params.x}' ${params.n}")).toBe(
      "echo 'it'\\''s; rm -rf $HOME' \"it's; rm -rf \\$HOME\" 'it'\\''s; rm -rf $HOME' '3'",
    );
    expect(filled("run ${params.list} ${raw(params.x)} ${raw(params.list)}")).toBe("run 'a b' '$c' it's; rm -rf $HOME a b $c");
    expect(filled("run ${params.e} x${params.e}#'", { e: [] })).toBe("run  x''#'");
    expect(filled("echo ${params.m} ${params.none}", { m: { a: "it's" }, none: null })).toBe("echo '{\"a\":\"it'\\''s\"}' ''");
  });

  test("leaves to the shell and the agent what is theirs", () => {
    const script = "for f in ${HOME} ${x:-1} ${a[0]} ${#a} $x $(pwd) ${round} ${inputs.data}; do :; done # ${params.x} it's";
    expect(filled(script)).toBe(script);
    expect(filled("echo \\${params.x} \"\\${params.x}\" $${params.x} '$${params.x}'")).toBe(
      "echo \\${params.x} \"\\${params.x}\" ${params.x} '${params.x}'",
    );
    expect(fillScript('cat ${steps.prep.artifacts.data.path} "${inputs.P1_data}/x"', withArtifact())).toBe(
      'cat ${inputs.P1_data} "${inputs.P1_data}/x"',
    );
    expect(fillScript("cp '${steps.prep.artifacts.data.path}' ${round}", { ...withArtifact(), round: 4 })).toBe(
      "cp '${inputs.P1_data}' '4'",
    );
  });

  test.each([
    ["a\ncat <<EOF\n${params.x}\nEOF", "line 3 of the script: it stands in a here-document"],
    ["cat <<'EOF'\n${params.x}\nEOF", "here-document"],
    ["echo `echo ${params.x}`", "between backticks"],
    ['echo "${y:-${params.x}}"', "within a ${ } of the shell"],
    ["echo ${y/a/${params.x}}", "within a ${ } of the shell"],
    ["echo $((1 + ${params.x}))", "only a number can stand in $(( ))"],
    ["((y = ${params.x}))", "only a number can stand in $(( ))"],
    ["echo $((${y:-${params.x}}))", "within a ${ } of the shell"],
    ["a[${params.x}]=1", "behind a name"],
    ['echo "${params.list}"', "take the quotes away"],
    ["echo '${params.list}'", "take the quotes away"],
    ["echo $'a\\'' ${params.x}", "read differently"],
    ['echo "$(case a in a) echo 1;; esac)" ${params.x}', "there is a case within"],
    ['echo `echo "\\`"` ${params.x}', "backticks"],
    ["[[ a =~ (a#') ]] && echo ${params.x}", "=~"],
    ["cat <<$E\n$E\necho ${params.x}", "an end that is not plain"],
    ["cat <<E\n$(cat <<F\nE\n)\nF\nE\necho ${params.x}", "more than a plain $name"],
    ["cat <<E $(echo\nE\n) ${params.x}", "within a $( )"],
    ['echo "${y#\'}" ${params.x}', "quotes within a ${ }"],
    ["echo $((1 # '\n)) ${params.x}", "more than one way"],
    ["echo ${params.x", "nothing closes it"],
    ["echo ${params.y}", "there is no y in the pipeline's parameters"],
    ["echo ${steps.a.outputs.b}", "there is no task of it"],
  ])("%j is refused", (script, problem) => {
    try {
      expect(filled(script)).toBe("refused");
    } catch (error) {
      if (!isNavvyError(error)) throw error;
      expect(error.message).toContain(problem);
    }
  });
});

function withArtifact(): Scope {
  const reported = {
    artifacts: [{ name: "data", sha256: "ab", sizeBytes: 1, attempt: 1, uploadedAt: "" }],
    outputs: {},
    metrics: {},
    metricsOmitted: 0,
    notes: [],
  };
  const task = { id: "P1", reported } as never;
  return {
    ...scopeOf({}),
    step: (name) => ({ name, state: "completed", task }),
    pathOf: (view, name) => `\${inputs.${view.task?.id}_${name}}`,
  };
}
