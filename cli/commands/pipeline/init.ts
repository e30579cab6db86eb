import { writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { NavvyError } from "../../../protocol/index.js";
import type { Handler } from "../../call.js";

const FILE = `# yaml-language-server: $schema=./pipeline.schema.json      (navvy pipeline schema > pipeline.schema.json)
navvy: 1
name: NAME
description: Prepare data, try a few settings, report the best

params:                                # navvy pipeline run FILE -p epochs=3
  epochs: {type: int, default: 3, min: 1}
  lrs: {type: list, of: float, default: [0.1, 0.01]}

defaults: {queue: default, timeout: 1h}

steps:
  prep:
    # A file left in $NAVVY_ARTIFACTS is an artifact, a line in $NAVVY_OUTPUT an output.
    run: |
      seq 100 > "$NAVVY_ARTIFACTS/data.txt"
      echo "rows=100" >> "$NAVVY_OUTPUT"
    outputs: [rows]
    artifacts: [data.txt]

  train:
    # One task for each; it waits for prep because it uses what that left.
    matrix: {lr: "\${params.lrs}"}
    params: {lr: "\${matrix.lr}", epochs: "\${params.epochs}"}
    run: |
      wc -l < \${steps.prep.artifacts['data.txt'].path}
      echo "accuracy=0.$NAVVY_PARAM_EPOCHS" >> "$NAVVY_OUTPUT"
    outputs: [accuracy]

  report:
    run: echo best \${steps.train.best(outputs.accuracy).matrix.lr} of \${join(params.lrs, ' ')}
`;

/** `navvy pipeline init [FILE] [--force]` */
export const init: Handler<[string], { force?: boolean }> = async (call, file) => {
  const name =
    basename(file)
      .replace(/\.ya?ml$/, "")
      .replace(/[^A-Za-z0-9_-]+/g, "-") || "pipeline";
  try {
    await writeFile(file, FILE.replace("NAME", name).replaceAll("FILE", file), { flag: call.options.force ? "w" : "wx" });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST")
      throw new NavvyError("invalid_argument", `${file} can not be written`, { cause, why: (cause as Error).message });
    throw new NavvyError("conflict", `${file} is there already`, { fix: [`navvy pipeline init ${file} --force`, "or name another file"] });
  }
  call.out.talk(`check it: navvy pipeline check ${file}      see it: navvy pipeline graph ${file}`);
  call.out.show({ kind: "pipeline-file", name: () => file }, { file }, () => file);
};
