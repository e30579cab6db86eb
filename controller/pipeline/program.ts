import type { Navvy } from "../../broker/index.js";
import { type InputRef, NavvyError, type TaskRecord, type TaskSpec } from "../../protocol/index.js";
import { alive } from "../alive.js";
import { uploadCode } from "../code.js";
import type { Graph } from "../graph/graph.js";
import { ownCommandLine, programOf } from "../program.js";

/** Tells a process of the controller's program which of its functions it is to run. */
export const FUNCTION_VARIABLE = "NAVVY_FUNCTION_STEP";

/** The file in which a controller without a program of its own finds its graph. */
export const GRAPH_FILE = "pipeline.json";

/** The program that defines a pipeline, as tasks of the fleet can run it. */
export class OwnProgram {
  readonly #navvy: Navvy;
  readonly #own: TaskRecord;
  readonly #folder: string | undefined;
  #spec: Promise<Partial<TaskSpec>> | undefined;

  /** @param folder the one to pack where the program was not sent by navvy; default: the nearest with a package.json */
  constructor(navvy: Navvy, own: TaskRecord, folder?: string) {
    this.#navvy = navvy;
    this.#own = own;
    this.#folder = folder;
  }

  /** What runs one function of the program. @throws NavvyError invalid_argument: it can not be packed */
  async functionSpec(name: string): Promise<Partial<TaskSpec>> {
    this.#spec ??= this.#make();
    const spec = await this.#spec;
    return { ...spec, env: { ...spec.env, [FUNCTION_VARIABLE]: name } };
  }

  async #make(): Promise<Partial<TaskSpec>> {
    const { command, code, git, directory, env, setup, container } = this.#own.spec;
    if (command.length > 0) {
      return {
        command,
        env,
        ...(code ? { code } : {}),
        ...(git ? { git } : {}),
        ...(directory === undefined ? {} : { directory }),
        ...(setup ? { setup } : {}),
        ...(container ? { container } : {}),
      };
    }
    const program = programOf(ownCommandLine(), this.#folder);
    return { command: program.command, code: await alive(() => uploadCode(this.#navvy, program.folder, program.additions)) };
  }
}

/** A graph as an input of a controller's task. */
export async function graphInput(navvy: Navvy, graph: Graph): Promise<Record<string, InputRef>> {
  const { sha256, sizeBytes } = await alive(() => navvy.objects.putBytes(new TextEncoder().encode(JSON.stringify(graph))));
  return { [GRAPH_FILE]: { sha256, sizeBytes } };
}

/** @throws NavvyError invalid_argument: what a function was given or returned can not be handed on */
export function jsonOf(what: string, value: unknown): string {
  let text: string | undefined;
  let why = "JSON has no word for it";
  try {
    text = JSON.stringify(value);
  } catch (error) {
    why = (error as Error).message;
  }
  if (text !== undefined) return text;
  throw new NavvyError("invalid_argument", `${what} can not be handed to another process`, {
    why,
    fix: "use numbers, text, lists and maps of these, or a Uint8Array for bytes",
  });
}
