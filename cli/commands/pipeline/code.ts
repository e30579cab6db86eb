import { resolve } from "node:path";
import { type CodeParts, isCheckout, type ReadOptions } from "../../../controller/file/index.js";
import type { Call } from "../../call.js";
import { gitSpecOf } from "../task/git-spec.js";
import { sendCode } from "../task/spec.js";

/** Code of a pipeline file's steps as `navvy run` takes it along: `--git`, `--repo` or `--code`; what has to be stored is stored. */
export function codeResolver(call: Call<unknown>): NonNullable<ReadOptions["resolveCode"]> {
  return async (code, folder) => {
    if ("dir" in code) return partsOf({ code: await sendCode(call, resolve(folder, code.dir)) });
    const { repo, ref, commit, diff, submodules } = code;
    const { output, quiet } = call.options;
    const from = isCheckout(repo)
      ? { git: resolve(folder, repo), diff: diff !== "exclude" }
      : { repo, ...(ref ? { ref } : {}), ...(commit ? { commit } : {}) };
    const options = { output, ...(quiet === undefined ? {} : { quiet }), ...from, ...(submodules === undefined ? {} : { submodules }) };
    return partsOf((await gitSpecOf({ ...call, options }, { upload: true })) ?? {});
  };
}

function partsOf(parts: object): CodeParts {
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== undefined)) as CodeParts;
}
