import { NavvyError } from "../../protocol/index.js";
import type { ProcessEnd } from "../runners/runner.js";
import type { SetupLog } from "../task/setup-log.js";
import type { Programs } from "./programs.js";
import type { Made, Step } from "./recipe.js";

export interface SteppingParts {
  programs: Programs;
  setupLog: SetupLog;
}

/** What is printed when a disk is full, whoever prints it. */
const NO_ROOM = /No space left on device|ENOSPC/;

/**
 * Runs the steps of a set-up one after the other, each in a section of its own. All of them together have the limit.
 * @throws NavvyError setup_failed with the step and how it ended; disk_full; what `Programs.run` throws
 */
export async function runSteps(parts: SteppingParts, made: Made, options: { limitMs: number; isShared: boolean }): Promise<void> {
  const { programs, setupLog } = parts;
  const { limitMs, isShared } = options;
  const startedMs = performance.now();
  for (const step of made.steps) {
    const leftMs = limitMs - (performance.now() - startedMs);
    await setupLog
      .section(`setup: ${step.name}`, async () => {
        await setupLog.say(`$ ${shown(step)}`);
        if (leftMs <= 0) throw tooLong(step, limitMs);
        const { argv, cwd } = step;
        const end = await programs.run({ argv, cwd, env: made.env, path: made.path, timeLimitMs: leftMs, isShared });
        if (end.endedBy === "time_limit") throw tooLong(step, limitMs);
        if (end.code !== 0) throw failed(step, end);
      })
      .catch((error: unknown) => {
        if (NO_ROOM.test(setupLog.failedTail ?? "")) throw noRoom(error);
        throw error;
      });
  }
}

const MAX_NAMED = 120;

/** In a sentence: what is longer stands in the log. */
function named(step: Step): string {
  const [line = "", ...more] = shown(step).trim().split("\n");
  return line.length > MAX_NAMED || more.length > 0 ? `${line.slice(0, MAX_NAMED)}…` : line;
}

/** As it would be typed. */
function shown({ argv }: Step): string {
  const words = argv[0] === "sh" && argv[1] === "-ec" ? argv.slice(2) : argv.map(quoted);
  return words.join(" ");
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function failed(step: Step, { code, signal }: ProcessEnd): NavvyError {
  const how = signal === null ? `exited with ${code ?? "?"}` : `was ended by ${signal}`;
  return new NavvyError("setup_failed", `set-up failed: ${named(step)} ${how}`, {
    ...(signal === "SIGKILL" ? { why: "mostly the kernel, for want of memory" } : {}),
    fix: "its last lines say why: mend the command or the files that it reads",
  });
}

function tooLong(step: Step, limitMs: number): NavvyError {
  return new NavvyError("setup_failed", `set-up failed: it hit its time limit of ${limitMs / 1000} s in ${named(step)}`, {
    detail: { limitMs },
    fix: ["--setup-timeout 1h   a longer one", "or see in its last lines what it waited for: a set-up has no keyboard"],
  });
}

function noRoom(cause: unknown): NavvyError {
  return new NavvyError("disk_full", "the disk of its agent was full in the set-up", { cause });
}
