import { closest, NavvyError } from "../../protocol/index.js";

/** Something that is wrong in a pipeline as it is written. */
export interface Problem {
  /** Where it stands in its file, `line:column`, if it came from one. */
  place?: string | undefined;
  /** Which part: `steps.train.parameters.General/lr`. */
  path: string;
  /** The same, part by part. */
  at: string[];
  message: string;
  fix?: string | undefined;
}

/** Says that something is wrong at a path below the reporter's own. */
export type Report = (at: string[], message: string, fix?: string) => void;

/** So many are enough to go on with; each more would be looked up among all names. */
const MAX_GATHERED = 100;

/** Gathers all of them, so that they can be put right at once. */
export class Problems {
  readonly found: Problem[] = [];
  readonly #what: string;

  constructor(what: string) {
    this.#what = what;
  }

  /** For one part: its path is put before those that are reported. */
  under(prefix: string[], place?: string): Report {
    return (at, message, fix) => {
      const whole = [...prefix, ...at];
      this.found.push({
        ...(place === undefined ? {} : { place }),
        path: whole.join("."),
        at: whole,
        message,
        ...(fix === undefined ? {} : { fix }),
      });
      if (this.found.length >= MAX_GATHERED) this.throwIfAny();
    };
  }

  /** @throws NavvyError invalid_argument, where something was found */
  throwIfAny(): void {
    if (this.found.length > 0) throw problemsError(this.#what, this.found);
  }
}

const MAX_SHOWN = 50;

/** One error for all of them; `detail.problems` holds each. */
export function problemsError(what: string, problems: readonly Problem[]): NavvyError {
  const shown = problems
    .slice(0, MAX_SHOWN)
    .map(({ place, path, message }) => `  ${place ? `${place} ` : ""}${path ? `${path}: ` : ""}${message}`);
  const more = problems.length > MAX_SHOWN ? [`  … and ${problems.length - MAX_SHOWN} more`] : [];
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  return new NavvyError("invalid_argument", [`${what}: ${count}`, ...shown, ...more].join("\n"), {
    fix: [...new Set(problems.flatMap(({ fix }) => fix ?? []))].slice(0, 5),
    detail: { problems: problems.map(({ place, path, at, message, fix }) => ({ place, path, at, message, fix })) },
  });
}

/** `; did you mean X?`, or what there is. */
export function didYouMean(wanted: string, known: Iterable<string>, noun = "there are"): string {
  const names = [...known];
  const meant = closest(wanted, names);
  if (meant !== undefined) return `, did you mean ${JSON.stringify(meant)}?`;
  const shown = names.slice(0, 20).join(", ");
  return names.length === 0 ? "" : `; ${noun}: ${shown}${names.length > 20 ? ", …" : ""}`;
}
