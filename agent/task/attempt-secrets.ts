import { chmod, chown, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { NavvyError, type Outcome, type SecretUse, type TaskRecord } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";
import { type Automaton, type Filter, findFilter, redactFile, redactText, startFilter } from "../host/redaction.js";
import { isReadByEngines } from "../runners/container-args.js";
import type { Mount, RunSpec } from "../runners/runner.js";
import { attemptMemory, makeAttemptMemory, removeAttemptMemory } from "../secrets/memory.js";
import type { Secrets } from "../secrets/secrets.js";
import type { AttemptFolder } from "./folder.js";
import type { ReportLine } from "./report-line.js";
import { INSIDE } from "./seen.js";

/** What the process of a task gets of its secrets. */
export interface Delivered {
  env: Record<string, string>;
  mounts: Mount[];
  /** In place of the spool files, which come behind the filter. */
  output: Pick<RunSpec, "stdout" | "stderr" | "spool">;
}

export interface AttemptSecretsParts {
  config: AgentConfig;
  secrets: Secrets;
  record: TaskRecord;
  key: string;
  folder: AttemptFolder;
}

const WITHHELD = "(withheld: the values of the task's secrets are not known here any more)";

/**
 * The secrets of one attempt: hands them to its process, and keeps them out of all that is written down or sent. Of one that has none
 * nothing is done.
 *
 * The values lie in memory (tmpfs) for as long as the attempt lives, so that an agent that adopts it goes on without asking for them
 * again: they may be others by then.
 */
export class AttemptSecrets {
  readonly #parts: AttemptSecretsParts;
  /** By the name that the task knows each by. */
  readonly #uses: [string, SecretUse][];
  readonly #values = new Map<string, string>();
  #automaton: Automaton | undefined;
  #filter: Filter | undefined;
  #setups = 0;
  /** The values are lost: no text goes on that may hold one. */
  #isBlind = false;

  constructor(parts: AttemptSecretsParts) {
    this.#parts = parts;
    this.#uses = Object.entries(parts.record.spec.secrets ?? {});
  }

  /** Gets the values; from here on none of them gets through. @throws NavvyError setup_failed (not for this task), internal */
  async prepare(): Promise<void> {
    if (this.#uses.length === 0) return;
    const { config, key } = this.#parts;
    this.#refuseUnfit();
    await this.#read();
    const memory = await makeAttemptMemory(config, key);
    await writeFile(join(memory, "values.json"), JSON.stringify(Object.fromEntries(this.#values)), { mode: 0o400 });
    await this.#writeFiles();
  }

  /** Starts the filter. @returns what the process gets; undefined: nothing */
  async deliver(): Promise<Delivered | undefined> {
    if (this.#uses.length === 0) return undefined;
    const { folder, record } = this.#parts;
    const [stdout, stderr] = [this.#at("stdout.pipe"), this.#at("stderr.pipe")];
    this.#filter = await this.#start("filter", { [stdout]: folder.stdout, [stderr]: folder.stderr });
    const isContained = record.spec.container !== undefined;
    const hasFiles = this.#uses.some(([, { as }]) => as === "file");
    const seen = isContained ? `${INSIDE}/secrets` : this.#at("files");
    const variables = this.#uses.flatMap(([name, { as }]) => (as === "env" ? [[name, this.#values.get(name) ?? ""] as const] : []));
    return {
      env: { ...Object.fromEntries(variables), ...(hasFiles ? { NAVVY_SECRETS: seen } : {}) },
      mounts: isContained && hasFiles ? [{ source: this.#at("files"), target: seen, readOnly: true }] : [],
      output: { stdout, stderr, spool: { stdout: folder.stdout, stderr: folder.stderr } },
    };
  }

  /** Sends what a program of the set-up prints through a filter too; it gets no secrets, but may know of them all the same. */
  async through<T extends Pick<RunSpec, "stdout" | "stderr">>(spec: T): Promise<{ spec: T; over: () => Promise<void> }> {
    if (this.#uses.length === 0) return { spec, over: async () => {} };
    const name = `setup-${++this.#setups}`;
    const pipe = this.#at(`${name}.pipe`);
    const filter = await this.#start(name, { [pipe]: spec.stdout });
    return {
      spec: { ...spec, stdout: pipe, stderr: pipe, spool: { stdout: spec.stdout, stderr: spec.stdout } },
      over: () => filter.over(),
    };
  }

  /** Goes on with what an earlier run of the agent began. Where the memory is gone the values are asked for anew. */
  async resume(): Promise<void> {
    if (this.#uses.length === 0) return;
    try {
      const kept = JSON.parse(await readFile(this.#at("values.json"), "utf8")) as Record<string, string>;
      this.#know(Object.entries(kept));
    } catch {
      await this.#read().catch(() => (this.#isBlind = true));
    }
    this.#filter = await findFilter(this.#at("filter.sock"));
  }

  /** The process has ended: resolves when all that it printed is in its spool files. */
  async over(): Promise<void> {
    await this.#filter?.over();
  }

  /** The attempt is over, in whatever way: nothing of its secrets is left here. */
  async remove(): Promise<void> {
    if (this.#uses.length === 0) return;
    const { config, key } = this.#parts;
    this.#filter?.end(); // one whose process was never started
    await removeAttemptMemory(config, key).catch((error: unknown) =>
      config.log.error({ err: error }, "a task's secrets could not be removed"),
    );
  }

  /** Without the values. */
  readonly clean = (text: string): string => {
    if (this.#isBlind) return WITHHELD;
    return this.#automaton === undefined ? text : redactText(this.#automaton, text);
  };

  /** What the task wrote for us is kept without the values; of what it wrote for itself nothing is changed. */
  async cleanFolder(): Promise<void> {
    const automaton = this.#automaton;
    if (automaton === undefined && !this.#isBlind) return;
    const { root, output, summary } = this.#parts.folder;
    const entries = await readdir(root, { withFileTypes: true });
    const ours = new Set([basename(output), basename(summary), "mlflow.json"]);
    const files = entries.filter((entry) => entry.isFile() && (ours.has(entry.name) || /^events.*\.jsonl$/.test(entry.name)));
    const clean = (file: string) => (automaton ? redactFile(automaton, file) : rm(file, { force: true }));
    await Promise.all(files.map(({ name }) => clean(join(root, name))));
  }

  /** What a task reports; a path is looked for on this machine, and goes no further. */
  readonly cleanLine = (line: ReportLine): ReportLine => {
    if (this.#automaton === undefined && !this.#isBlind) return line;
    const cleaned = this.#deep(line) as ReportLine;
    return {
      ...cleaned,
      t: line.t,
      ...("level" in line ? { level: line.level } : {}),
      ...("path" in line ? { path: line.path } : {}),
    } as ReportLine;
  };

  readonly cleanOutcome = (outcome: Outcome): Outcome => {
    const { reason, tail } = outcome;
    return {
      ...outcome,
      ...(reason === undefined ? {} : { reason: this.clean(reason) }),
      ...(tail === undefined ? {} : { tail: this.clean(tail) }),
    };
  };

  /** The same for any value: every text in it, names too. */
  readonly cleanValue = <T>(value: T): T => (this.#automaton === undefined && !this.#isBlind ? value : (this.#deep(value) as T));

  #deep(value: unknown): unknown {
    if (typeof value === "string") return this.clean(value);
    if (Array.isArray(value)) return value.map((each) => this.#deep(each));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [this.clean(key), this.#deep(each)]));
  }

  #at(name: string): string {
    const { config, key } = this.#parts;
    return join(attemptMemory(config, key), name);
  }

  #start(name: string, files: Record<string, string>): Promise<Filter> {
    const streams = Object.entries(files).map(([pipe, file]) => ({ pipe, file }));
    const values = [...new Set(this.#values.values())];
    return startFilter({ agent: this.#parts.config.name, values, streams, socketPath: this.#at(`${name}.sock`) });
  }

  async #read(): Promise<void> {
    const { secrets, record } = this.#parts;
    const read = this.#uses.map(async ([name, { secret }]): Promise<[string, string]> => [name, await secrets.valueOf(secret, record)]);
    this.#know(await Promise.all(read));
  }

  #know(values: [string, string][]): void {
    for (const [name, value] of values) this.#values.set(name, value);
    this.#automaton = this.#parts.secrets.automatonOf([...new Set(this.#values.values())]);
  }

  /** For the task's user alone. Whom an image names is not known here: its file is open to all inside, and its folder closed to all outside. */
  async #writeFiles(): Promise<void> {
    const files = this.#at("files");
    await mkdir(files, { mode: 0o700 });
    const { user = "self" } = this.#parts.record.spec.container ?? {};
    const [uid, gid] = /^\d+(:\d+)?$/.test(user) && process.getuid?.() === 0 ? user.split(":").map(Number) : [];
    const isOurs = user === "self" || uid !== undefined;
    for (const [name, { as }] of this.#uses) {
      if (as !== "file") continue;
      await writeFile(join(files, name), this.#values.get(name) ?? "", { mode: isOurs ? 0o400 : 0o444 });
      if (uid !== undefined) await chown(join(files, name), uid, gid ?? uid);
    }
    if (!isOurs) await chmod(files, 0o755);
    else if (uid !== undefined) await chown(files, uid, gid ?? uid);
  }

  /** @throws NavvyError setup_failed: there is no way that shows it to nobody else */
  #refuseUnfit(): void {
    const { config, record } = this.#parts;
    if (record.spec.container === undefined) return;
    for (const [name, { secret, as }] of this.#uses) {
      if (as === "env" && isReadByEngines(name))
        throw new NavvyError("setup_failed", `secret ${secret} can not be variable ${name} of a container`, {
          why: "the engine's own command reads a variable of that name, so its value would have to stand in the command's arguments",
          fix: `--secret-file ${name}=${secret}`,
        });
      if (as === "file" && config.hostWorkDir !== undefined)
        throw new NavvyError("setup_failed", `secret ${secret} can not be a file in a container of agent ${config.name}`, {
          why: "the agent runs in a container itself, and its memory is not its engine's",
          fix: `--secret ${name}=${secret}`,
        });
    }
  }
}
