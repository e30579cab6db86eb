import { NavvyError, Setup, type TaskSpec } from "../../../protocol/index.js";
import type { SetupOptions } from "../task-flags/setup.js";

/** The set-up that the flags ask for, over that of `before`. @throws NavvyError invalid_argument for flags that do not go together */
export function setupSpecOf(options: SetupOptions, before?: TaskSpec): Pick<TaskSpec, "setup"> | undefined {
  const { setup, setupFile, setupTimeout, python, interpreter, requirements, node } = options;
  const isPython = python === true || requirements !== undefined || interpreter !== undefined;
  if (isPython && node)
    throw new NavvyError("invalid_argument", "a set-up makes either a Python environment or node_modules", {
      fix: "--python, and npm ci in a command of its own: --setup 'cd web && npm ci'",
    });
  const files = [...(requirements ?? []), ...(setupFile ?? [])];
  const kind = isPython ? "python" : node ? "node" : undefined;
  const said = {
    ...(kind === undefined ? {} : { kind }),
    ...(setup === undefined ? {} : { commands: setup }),
    ...(files.length === 0 ? {} : { files }),
    ...(setupTimeout === undefined ? {} : { timeLimitMs: setupTimeout }),
    ...(interpreter === undefined ? {} : { interpreter }),
  };
  if (Object.keys(said).length === 0) return undefined;
  if (before?.setup === undefined && kind === undefined && setup === undefined)
    throw new NavvyError("invalid_argument", `--${setupFile ? "setup-file" : "setup-timeout"} is about a set-up, and there is none`, {
      fix: ["--setup COMMAND", "--python", "--node"],
    });
  return { setup: Setup.parse({ ...before?.setup, ...said }) };
}
