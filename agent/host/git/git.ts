import { type ChildProcess, spawn } from "node:child_process";
import { NavvyError } from "../../../protocol/index.js";
import { gitEnvironment } from "./environment.js";
import { GitOutput } from "./output.js";

/** Between SIGTERM, at which git removes its lock files, and SIGKILL. */
const POLITE_MS = 1_000;
/** Daemons of ssh (ControlPersist) and of credential caches keep git's pipes open for ever. */
const PIPES_MS = 300;
/** A host's hooks are for people's own checkouts; what git tidies up must end with it. */
const ALWAYS = ["-c", "core.hooksPath=/dev/null", "-c", "gc.autoDetach=false", "-c", "maintenance.autoDetach=false"];

/** Those that may take long, for messages. */
const VERBS = new Set(["config", "fetch", "ls-remote", "apply", "checkout-index", "read-tree", "init"]);

export interface GitOptions {
  cwd?: string;
  env?: Record<string, string>;
  signal?: AbortSignal | undefined;
  /** Told each line of stderr. */
  say?: (line: string) => void;
}

export interface GitResult {
  isOk: boolean;
  stdout: string;
  /** Of stderr, without credentials. */
  lastLines: string[];
}

export interface GitParts {
  /** The agent's. */
  inherited: Record<string, string | undefined>;
  /** The folder that it works for: marks its processes. */
  mark: string;
  /** A command that takes longer is ended. */
  limitMs: number;
}

/** The host's git, with the host's configuration: in a process group of its own, with nobody to ask, and for a limited time. */
export class Git {
  readonly #parts: GitParts;
  readonly #env: Record<string, string>;
  #forNetwork: Promise<Record<string, string>> | undefined;

  constructor(parts: GitParts) {
    this.#parts = parts;
    this.#env = gitEnvironment(parts.inherited, parts.mark);
  }

  /**
   * Runs it to its end, whatever that is.
   * @throws NavvyError setup_failed (no git, its time is over), and the signal's reason
   */
  async try(args: string[], options: GitOptions = {}): Promise<GitResult> {
    options.signal?.throwIfAborted();
    const output = new GitOutput(options.say ?? (() => {}));
    const child = spawn("git", [...ALWAYS, ...args], {
      cwd: options.cwd,
      env: { ...this.#env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    const stdout: Buffer[] = [];
    child.stdout.on("data", (bytes: Buffer) => stdout.push(bytes));
    child.stderr.setEncoding("utf8").on("data", (text: string) => output.take(text));
    const { code, isLate } = await this.#end(child, options.signal);
    const lastLines = output.end();
    options.signal?.throwIfAborted();
    if (isLate) throw tooLong(args, this.#parts.limitMs, lastLines);
    return { isOk: code === 0, stdout: Buffer.concat(stdout).toString("utf8"), lastLines };
  }

  /** Like `try`, with ssh kept from asking; where the host has its own way of calling ssh, that is left alone. */
  async tryRemote(args: string[], options: GitOptions = {}): Promise<GitResult> {
    this.#forNetwork ??= this.#sshEnvironment().catch((error: unknown) => {
      this.#forNetwork = undefined; // a git that could not be started may be there the next time
      throw error;
    });
    return this.try(args, { ...options, env: { ...(await this.#forNetwork), ...options.env } });
  }

  /** @returns stdout @throws NavvyError what `onFailed` makes of it */
  async must(args: string[], options: GitOptions & { onFailed: (lastLines: string[]) => NavvyError }): Promise<string> {
    const { isOk, stdout, lastLines } = await this.try(args, options);
    if (!isOk) throw fullDisk(lastLines) ?? options.onFailed(lastLines);
    return stdout;
  }

  async #sshEnvironment(): Promise<Record<string, string>> {
    if (this.#env["GIT_SSH_COMMAND"] !== undefined || this.#env["GIT_SSH"] !== undefined) return {};
    const { isOk } = await this.try(["config", "--get", "core.sshCommand"]);
    return isOk ? {} : { GIT_SSH_COMMAND: "ssh -oBatchMode=yes" };
  }

  /** Its whole group goes at the signal and at its time limit: git fetches through children of its own. */
  async #end(child: ChildProcess, signal: AbortSignal | undefined): Promise<{ code: number | null; isLate: boolean }> {
    let isLate = false;
    let kill: NodeJS.Timeout | undefined;
    const cut = () => {
      signalGroup(child, "SIGTERM");
      kill ??= setTimeout(() => signalGroup(child, "SIGKILL"), POLITE_MS);
    };
    const limit = setTimeout(() => {
      isLate = true;
      cut();
    }, this.#parts.limitMs);
    signal?.addEventListener("abort", cut, { once: true });
    const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
    try {
      const code = await exitOf(child);
      if (isLate || signal?.aborted) signalGroup(child, "SIGKILL");
      await pipesOf(child, closed);
      return { code, isLate };
    } finally {
      clearTimeout(limit);
      clearTimeout(kill);
      signal?.removeEventListener("abort", cut);
    }
  }
}

function exitOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once("exit", resolve);
    child.once("error", (error: NodeJS.ErrnoException) => reject(error.code === "ENOENT" ? noGit(error) : error));
  });
}

async function pipesOf(child: ChildProcess, closed: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, PIPES_MS)));
  await Promise.race([closed, late]);
  clearTimeout(timer);
  child.stdout?.destroy();
  child.stderr?.destroy();
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error; // it has ended
  }
}

function noGit(cause: Error): NavvyError {
  return new NavvyError("setup_failed", "git can not be started on this agent's host", {
    cause,
    why: "there is no git on the agent's PATH",
    fix: ["sudo apt-get install -y git", "or send the code itself: navvy run --code . -- …"],
  });
}

function tooLong(args: string[], limitMs: number, lastLines: string[]): NavvyError {
  const verb = args.find((arg) => VERBS.has(arg)) ?? "";
  return new NavvyError("setup_failed", `git ${verb} did not end within ${limitMs / 1_000} s and was ended`, {
    why: lastLines.at(-1) ?? "it printed nothing",
    fix: "look whether the remote answers, or give it longer: navvy agent start --git-limit 1h",
  });
}

/** A full disk is the machine's fault, not the task's; git only tells it in words. */
export function fullDisk(lastLines: string[]): NavvyError | undefined {
  const line = lastLines.find((each) => each.includes("No space left on device") || each.includes("Disk quota exceeded"));
  return line === undefined ? undefined : new NavvyError("disk_full", `no room left for the task's code: ${line}`);
}
