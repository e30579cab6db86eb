import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { NavvyError } from "../../protocol/index.js";
import { userSteps } from "./commands.js";
import { isFile } from "./digest.js";
import type { Recipe, SetupContext } from "./recipe.js";

const LOCKS = ["package-lock.json", "npm-shrinkwrap.json"];

/**
 * `node_modules` as `package.json` and its lock say: `npm ci`, or `npm install` where the code brings no lock. Made beside copies of
 * these files, and linked into the working directory.
 * @throws NavvyError setup_failed: no package.json, no npm
 */
export async function nodeRecipe(context: SetupContext): Promise<Recipe> {
  const { cwd, place } = context;
  const present = await Promise.all(["package.json", ...LOCKS, ".npmrc"].map((file) => isFile(join(cwd, file)).then((is) => is && file)));
  const files = present.filter((file): file is string => file !== false);
  if (!files.includes("package.json")) throw noPackage();
  const [node, npm] = await Promise.all([place.find("node"), place.find("npm")]);
  if (node === undefined || npm === undefined) throw noProgram(node === undefined ? "node" : "npm");
  const hasLock = LOCKS.some((lock) => files.includes(lock));
  const local = await localsOf(join(cwd, "package.json"));
  return {
    files: [...files, ...local],
    identities: [node.identity, npm.identity],
    copies: local.length > 0 ? "code" : files,
    make(layout) {
      const nodeModules = join(layout.base, "node_modules");
      const wanted = hasLock ? ["ci"] : ["install", "--no-package-lock"];
      const argv = [npm.path, ...wanted, "--no-audit", "--no-fund", "--no-progress"];
      return {
        steps: [{ name: "npm", argv, cwd: layout.base }, ...userSteps(context)],
        env: { NAVVY_ENV: layout.env },
        path: [join(nodeModules, ".bin")],
        witness: layout.base,
        nodeModules,
      };
    },
  };
}

/** What `package.json` takes from the code itself; where it keeps workspaces, all of it. */
async function localsOf(path: string): Promise<string[]> {
  const read = await readFile(path, "utf8").then(parse, () => undefined);
  if (read === undefined) return []; // npm says what is wrong with it
  if (read["workspaces"] !== undefined) return ["."];
  const groups = ["dependencies", "devDependencies", "optionalDependencies"].map((group) => read[group] ?? {});
  const wanted = groups.flatMap((group) => Object.values(group as Record<string, unknown>));
  return wanted.flatMap((each) => (typeof each === "string" ? (/^(?:file|link):(.+)$/.exec(each)?.slice(1, 2) ?? []) : []));
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

function noPackage(): NavvyError {
  return new NavvyError("setup_failed", "the set-up is to make node_modules, and the code does not say of what", {
    why: "there is no package.json in the working directory",
    fix: ["--code DIR   the folder that holds it", "--dir PATH   the folder in the code"],
  });
}

function noProgram(program: string): NavvyError {
  return new NavvyError("setup_failed", `there is no ${program} on this machine to make node_modules with`, {
    why: "it was looked for on the PATH of its agent",
    fix: "install Node.js there",
  });
}
