import { z } from "zod";
import { checkName, isNavvyError } from "../../protocol/index.js";
import { Duration } from "../definition/duration.js";
import { invalid, problemsOf } from "../definition/problems.js";
import { type PlaceOf, readYaml } from "../definition/yaml.js";

const Command = z.union([z.string().min(1), z.array(z.string()).min(1)], "a command is wanted: a line for the shell, or a list of words");
const Name = (kind: "queue" | "agent") =>
  z.string().superRefine((name, context) => {
    try {
      checkName(kind, name);
    } catch (error) {
      context.addIssue({ code: "custom", message: isNavvyError(error) ? `${error.message}; ${error.why}` : String(error) });
    }
  });

/** An autoscaler as people write it. */
const Written = z.strictObject({
  name: z.string().min(1).default("autoscale"),
  /** Whose tasks need machines. */
  queue: Name("queue"),
  /** How the names of the agents begin that it starts: only those are ever stopped. */
  agents: Name("agent"),
  min: z.int().min(0).default(0),
  max: z.int().min(1),
  /** Tasks that one machine runs at once. */
  slots: z.int().min(1).default(1),
  start: z.strictObject({ command: Command, timeout: Duration.default(600_000) }),
  stop: z.strictObject({ command: Command, timeout: Duration.default(600_000) }),
  /** Tasks that have waited so long need a machine. */
  waiting: Duration.default(30_000),
  /** An agent that has been idle so long is stopped. */
  idle: Duration.default(600_000),
  /** Between two starts; the first pause after one that failed, and doubled after each more. */
  cooldown: Duration.default(60_000),
  /** How often it looks. */
  every: Duration.default(10_000),
  /** Only say what would be done. */
  dryRun: z.boolean().default(false),
});

export type AutoscaleOptions = z.input<typeof Written>;
export type AutoscaleConfig = z.output<typeof Written>;

const KNOWN = { "": Object.keys(Written.shape), start: ["command", "timeout"], stop: ["command", "timeout"] };

/** @throws NavvyError invalid_argument, with every problem */
export function autoscaleConfigOf(options: unknown, placeOf?: PlaceOf): AutoscaleConfig {
  const parsed = Written.safeParse(options);
  if (!parsed.success) throw invalid("this is no autoscaler", problemsOf(parsed.error, KNOWN), placeOf);
  const { min, max } = parsed.data;
  if (min > max) throw invalid("this is no autoscaler", [{ path: ["min"], message: `it is more than max, which is ${max}` }], placeOf);
  return parsed.data;
}

/** An autoscaler from a YAML (or JSON) file. @throws NavvyError invalid_argument: each problem with its line and column */
export async function parseAutoscaleFile(text: string, file: string): Promise<AutoscaleOptions> {
  const { written, placeOf } = await readYaml(text, file);
  autoscaleConfigOf(written, placeOf);
  return written as unknown as AutoscaleOptions;
}
