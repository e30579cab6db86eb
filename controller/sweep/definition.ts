import { z } from "zod";
import { ParameterValue } from "../../protocol/index.js";
import { Duration } from "../definition/duration.js";
import { invalid, type KnownKeys, type Problem, problemsOf } from "../definition/problems.js";
import { isObject, type PlaceOf } from "../definition/yaml.js";
import { Grid, MAX_COMBINATIONS, RandomSearch, type Sampler } from "./sampler.js";
import type { Space } from "./space.js";
import { parseSpace } from "./space-definition.js";
import { Tpe } from "./tpe.js";

const Count = z.int("a whole number is wanted").min(1, "at least 1 is wanted");
const Milliseconds = z.number().positive();

const Objective = z.strictObject({
  /** The metric that trials report. */
  metric: z.string().min(1),
  goal: z.enum(["max", "min"]),
  /** Which of its values counts: the last one, or the highest or lowest on the way. */
  of: z.enum(["last", "max", "min"]).default("last"),
});
export type Objective = z.infer<typeof Objective>;

const Budget = z
  .strictObject({
    /** How many trials are started at most. */
    trials: Count.optional(),
    /** From the first trial on; what still runs then is ended. */
    time: Duration.optional(),
    timeMs: Milliseconds.optional(),
    /** So many failed trials end the sweep. Default: 10, or a quarter of the trials when that is more. */
    failures: Count.optional(),
    /** Of one trial. Default: its template's. */
    trialTime: Duration.optional(),
    trialTimeMs: Milliseconds.optional(),
  })
  .transform(({ time, trialTime, ...budget }) => ({
    ...budget,
    timeMs: budget.timeMs ?? time,
    trialTimeMs: budget.trialTimeMs ?? trialTime,
  }));

const Stop = z.strictObject({
  minSteps: z.number().positive().default(1),
  factor: z.number().min(2, "at least 2 is wanted: one of so many goes on").default(3),
  maxSteps: z.number().positive().optional(),
});

const METHODS = ["grid", "random", "tpe", "asha"] as const;

/** A sweep as people write it, in a file or in code. */
const Written = z.strictObject({
  /** Of the file's format. */
  navvy: z.literal(1).optional(),
  name: z.string().min(1),
  /** Of the sweep and its trials. Default: the template's. */
  project: z.string().min(1).optional(),
  /** What trials are cloned from: id, name, or project/name. */
  template: z.string().min(1),
  /** Where trials run. Default: where the template was last, else default. */
  queue: z.string().min(1).optional(),
  /** `asha` is random with early stop. */
  method: z.enum(METHODS).default("tpe"),
  /** The same seed proposes the same trials. */
  seed: z.int().default(1),
  /** Trials at once. */
  parallel: Count.default(4),
  objective: Objective,
  parameters: z.record(z.string(), z.unknown()),
  budget: Budget.default({ timeMs: undefined, trialTimeMs: undefined }),
  /** Ends trials that do badly before their end. */
  earlyStop: Stop.optional(),
  /** The sweep is over when a completed trial has reached this. */
  target: z.number().optional(),
  /** What becomes of running trials when the sweep is aborted. */
  onAbort: z.enum(["abort", "leave"]).default("abort"),
});

/** What `new Sweep()` takes. */
export interface SweepOptions extends Omit<z.input<typeof Written>, "earlyStop"> {
  /** `true`: with all its defaults. */
  earlyStop?: boolean | z.input<typeof Stop>;
}

/** A sweep with all that was left out filled in. */
export interface SweepConfig extends Omit<z.output<typeof Written>, "navvy" | "parameters" | "earlyStop" | "method" | "budget"> {
  method: "grid" | "random" | "tpe";
  space: Space;
  earlyStop?: z.output<typeof Stop> | undefined;
  budget: Omit<z.output<typeof Budget>, "failures"> & { failures: number };
}

const KNOWN: KnownKeys = {
  "": Object.keys(Written.shape),
  objective: Object.keys(Objective.shape),
  budget: ["trials", "time", "timeMs", "failures", "trialTime", "trialTimeMs"],
  earlyStop: Object.keys(Stop.shape),
};

/** @throws NavvyError invalid_argument, with every problem */
export function configOf(options: unknown, placeOf?: PlaceOf): SweepConfig {
  const parsed = checkDefinition(options);
  if ("problems" in parsed) throw invalid("this is no sweep", parsed.problems, placeOf);
  return parsed.config;
}

/** The definition with defaults, or all that is wrong with it. */
function checkDefinition(options: unknown): { config: SweepConfig } | { problems: Problem[] } {
  const written = Written.safeParse(isObject(options) ? plainly(options) : options);
  const parameters = isObject(options) && isObject(options["parameters"]) ? options["parameters"] : {};
  const space = parseSpace(parameters);
  if (!written.success) return { problems: [...problemsOf(written.error, KNOWN), ...space.problems] };
  if (space.problems.length > 0) return { problems: space.problems };
  const { navvy: _navvy, parameters: _parameters, method, earlyStop, budget, ...rest } = written.data;
  const config: SweepConfig = {
    ...rest,
    method: method === "asha" ? "random" : method,
    space: space.space,
    earlyStop: earlyStop ?? (method === "asha" ? Stop.parse({}) : undefined),
    budget: { ...budget, failures: budget.failures ?? Math.max(10, Math.ceil((budget.trials ?? 0) / 4)) },
  };
  const problems = contradictions(config);
  return problems.length > 0 ? { problems } : { config };
}

/** `earlyStop: true`, and in a file an empty one, mean its defaults. */
function plainly({ earlyStop, ...rest }: Record<string, unknown>): Record<string, unknown> {
  if (earlyStop === undefined || earlyStop === false) return rest;
  return { ...rest, earlyStop: earlyStop === true || earlyStop === null ? {} : earlyStop };
}

function contradictions(config: SweepConfig): Problem[] {
  const { method, space, budget } = config;
  if (space.length === 0) return [{ path: ["parameters"], message: "there is nothing to search: a sweep has one parameter at least" }];
  const problems: Problem[] = [];
  if (method === "grid") {
    for (const dimension of space)
      if (dimension.kind === "number" && dimension.step === undefined)
        problems.push({ path: ["parameters", dimension.path], message: "a grid has no end here: give it values, or a step" });
  }
  const size = problems.length > 0 ? undefined : samplerOf(config).size;
  if (size === undefined && problems.length === 0 && budget.trials === undefined && budget.timeMs === undefined)
    problems.push({ path: ["budget"], message: "this search has no end by itself: give it trials, or time" });
  if ((size ?? 0) > MAX_COMBINATIONS && budget.trials === undefined)
    problems.push({
      path: ["parameters"],
      message: `these are more than ${MAX_COMBINATIONS} combinations: give budget.trials, or another method`,
    });
  return problems;
}

/** @throws never: a definition that was checked always has one */
export function samplerOf({ method, space, seed }: Pick<SweepConfig, "method" | "space" | "seed">): Sampler {
  switch (method) {
    case "grid":
      return new Grid(space);
    case "random":
      return new RandomSearch(space, seed);
    case "tpe":
      return new Tpe(space, seed);
  }
}

/** What stands in the record of a sweep: what was written, as JSON. @throws NavvyError invalid_argument for what JSON can not say */
export function definitionValue(options: SweepOptions): ParameterValue {
  return ParameterValue.parse(JSON.parse(JSON.stringify(options)));
}
