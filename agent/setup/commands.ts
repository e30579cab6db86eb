import { join } from "node:path";
import type { Recipe, SetupContext, Step } from "./recipe.js";

/** Nothing but the user's own commands; what they leave in `$NAVVY_ENV/bin` is found by name. */
export function commandsRecipe(context: SetupContext): Recipe {
  return {
    files: [],
    identities: [],
    copies: [],
    make: (layout) => ({
      steps: userSteps(context),
      env: { NAVVY_ENV: layout.env },
      path: [join(layout.env, "bin")],
      witness: layout.env,
    }),
  };
}

const SHOWN = 40;

/** The user's lines, each a shell's of its own: one that fails ends the set-up, and is named. */
export function userSteps({ setup, cwd }: SetupContext): Step[] {
  return setup.commands.map((command) => {
    const [line = ""] = command.trim().split("\n");
    const name = line.length > SHOWN ? `${line.slice(0, SHOWN - 1)}…` : line;
    return { name, argv: ["sh", "-ec", command], cwd };
  });
}
