import { join } from "node:path";
import { NavvyError } from "../../protocol/index.js";
import { userSteps } from "./commands.js";
import { isFile } from "./digest.js";
import type { Layout, Recipe, SetupContext, Step } from "./recipe.js";
import { pointedBy, pointedByLock } from "./requirements.js";

const DEFAULT_INTERPRETER = "python3";

/** Where the requirements stand. */
type Source = { what: "requirements"; files: string[] } | { what: "lock" } | { what: "project" } | { what: "nothing" };

/**
 * A virtual environment with what the code asks for, as it asks for it: `uv.lock`, else `requirements.txt` (or the files that are
 * named), else the project that `pyproject.toml` describes. With uv where there is one, else with venv and pip.
 * @throws NavvyError setup_failed: nothing is asked for, no interpreter, a lock and no uv
 */
export async function pythonRecipe(context: SetupContext): Promise<Recipe> {
  const { setup, cwd, place } = context;
  const source = await sourceOf(context);
  const program = setup.interpreter ?? DEFAULT_INTERPRETER;
  const [python, uv, chosen] = await Promise.all([place.find(program), place.find("uv"), isFile(join(cwd, ".python-version"))]);
  if (python === undefined) throw noInterpreter(program);
  if (source.what === "lock" && uv === undefined) throw noUv();
  const { files, pointed } = await filesOf(source, cwd);
  const make = uv === undefined ? withPip(context, { source, python: python.path }) : withUv(context, { source, python: python.path, uv });
  return {
    files: [...files, ...pointed.paths, ...(chosen ? [".python-version"] : [])],
    identities: [python.identity, uv === undefined ? "pip" : "uv"],
    copies: pointed.isEditable ? "code" : [],
    make,
  };
}

async function sourceOf({ setup, cwd }: SetupContext): Promise<Source> {
  const has = (file: string) => isFile(join(cwd, file));
  const named = setup.files.filter((file) => /\.(txt|in)$/.test(file));
  if (named.length > 0) return { what: "requirements", files: named };
  const [lock, requirements, project] = await Promise.all([has("uv.lock"), has("requirements.txt"), has("pyproject.toml")]);
  if (lock && project) return { what: "lock" };
  if (requirements) return { what: "requirements", files: ["requirements.txt"] };
  if (project) return { what: "project" };
  if (setup.commands.length > 0) return { what: "nothing" };
  throw new NavvyError("setup_failed", "the set-up is to make a Python environment, and the code does not say of what", {
    why: "there is no requirements.txt, uv.lock or pyproject.toml in the working directory",
    fix: ["--requirements FILE   another file of the code", "--code DIR   the folder that holds it"],
  });
}

async function filesOf(source: Source, cwd: string) {
  switch (source.what) {
    case "requirements": {
      const all = await Promise.all(source.files.map((file) => pointedBy(join(cwd, file))));
      const pointed = { paths: all.flatMap(({ paths }) => paths), isEditable: all.some(({ isEditable }) => isEditable) };
      return { files: source.files, pointed };
    }
    case "lock":
      return { files: ["uv.lock", "pyproject.toml"], pointed: await pointedByLock(join(cwd, "uv.lock")) };
    case "project":
      return { files: ["."], pointed: { paths: [], isEditable: false } };
    case "nothing":
      return { files: [], pointed: { paths: [], isEditable: false } };
  }
}

interface Tools {
  source: Source;
  python: string;
}

function withPip(context: SetupContext, { source, python }: Tools): Recipe["make"] {
  return (layout) => {
    const venv = join(layout.env, "venv");
    const pip = [join(venv, "bin", "python"), "-m", "pip", "install"];
    const steps: Step[] = [{ name: "venv", argv: [python, "-m", "venv", venv], cwd: layout.base }];
    const wanted = installArguments(source);
    if (wanted.length > 0) steps.push({ name: "pip", argv: [...pip, ...wanted], cwd: layout.base });
    return made(layout, [...steps, ...userSteps(context)]);
  };
}

function withUv(context: SetupContext, { source, python, uv }: Tools & { uv: { path: string } }): Recipe["make"] {
  return (layout) => {
    const venv = join(layout.env, "venv");
    const steps: Step[] = [{ name: "venv", argv: [uv.path, "venv", "--python", python, venv], cwd: layout.base }];
    const wanted = source.what === "lock" ? ["sync", "--frozen"] : ["pip", "install", ...installArguments(source)];
    if (source.what !== "nothing") steps.push({ name: "uv", argv: [uv.path, ...wanted], cwd: layout.base });
    return made(layout, [...steps, ...userSteps(context)]);
  };
}

/** Never rewritten: what the user wrote is what is installed. */
function installArguments(source: Source): string[] {
  if (source.what === "requirements") return source.files.flatMap((file) => ["-r", file]);
  return source.what === "project" ? ["."] : [];
}

function made(layout: Layout, steps: Step[]) {
  const venv = join(layout.env, "venv");
  return {
    steps,
    env: { NAVVY_ENV: layout.env, VIRTUAL_ENV: venv, UV_PROJECT_ENVIRONMENT: venv },
    path: [join(venv, "bin")],
    witness: join(venv, "bin", "python"),
  };
}

function noInterpreter(program: string): NavvyError {
  return new NavvyError("setup_failed", `there is no ${program} on this machine to make a Python environment with`, {
    why: "it was looked for on the PATH of its agent",
    fix: ["install it there", "or name another one: --interpreter python3.12, or a full path"],
  });
}

function noUv(): NavvyError {
  return new NavvyError("setup_failed", "the code's uv.lock needs uv, and there is none on this machine", {
    why: "uv was looked for on the PATH of its agent; pip can not read its lock file",
    fix: ["install uv there", "or send a requirements file along: --requirements FILE   (uv export writes one)"],
  });
}
