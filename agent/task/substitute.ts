import { NavvyError, type Parameters } from "../../protocol/index.js";

/**
 * Puts parameters into a command: `${General/lr}`. `$${…}` stays as `${…}`.
 * @throws NavvyError setup_failed when there is no such parameter
 */
export function substitute(command: string[], parameters: Parameters): string[] {
  return command.map((argument) =>
    argument.replace(/(\$?)\$\{([A-Za-z0-9_.-]+)\/([A-Za-z0-9_./-]+)\}/g, (whole, escape: string, section: string, name: string) => {
      if (escape === "$") return whole.slice(1);
      const value = parameters[section]?.[name];
      if (value === undefined)
        throw new NavvyError("setup_failed", `the command asks for parameter ${section}/${name}, which the task does not have`, {
          fix: `navvy task set ID ${section}/${name}=VALUE`,
        });
      return typeof value === "string" ? value : JSON.stringify(value);
    }),
  );
}
