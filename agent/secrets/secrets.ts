import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makeSealingKey, type Navvy, openSecret, publicKeyOf, type SecretRules } from "../../broker/index.js";
import { NavvyError, type SealedSecret, type TaskRecord, weaknessOf } from "../../protocol/index.js";
import type { AgentConfig } from "../config.js";
import { type Automaton, automatonOf } from "../host/redaction.js";
import { readSources, readValue, type Source } from "./sources.js";

const REMEMBERED = 8;

/**
 * The secrets of one agent: what its owner names in a file, and what was sealed for it. A name that stands in both is the owner's.
 * Values are read anew for each task, so one that was changed is used from the next task on.
 */
export class Secrets {
  readonly #agent: string;
  readonly #sources: ReadonlyMap<string, Source>;
  readonly #privateKey: string;
  readonly #sealed = new Map<string, SealedSecret>();
  readonly #listeners: (() => void)[] = [];
  readonly #automata = new Map<string, Automaton>();
  readonly #log: AgentConfig["log"];
  #isOpen = false;
  #stop = () => {};

  /** @throws NavvyError invalid_argument, internal: one of its owner's can not be had or kept secret */
  static async open(config: AgentConfig, navvy: Navvy): Promise<Secrets> {
    const sources = config.secretsFile === undefined ? new Map<string, Source>() : await readSources(config.secretsFile);
    await Promise.all([...sources].map(([name, source]) => readValue(name, source, config.name)));
    const secrets = new Secrets(config, sources, await sealingKeyIn(config.folder));
    secrets.#stop = await navvy.secrets.watch(config.name, (name, sealed) => secrets.#changed(name, sealed));
    secrets.#isOpen = true;
    return secrets;
  }

  private constructor(config: AgentConfig, sources: ReadonlyMap<string, Source>, privateKey: string) {
    this.#agent = config.name;
    this.#log = config.log;
    this.#sources = sources;
    this.#privateKey = privateKey;
  }

  get names(): string[] {
    return [...new Set([...this.#sources.keys(), ...this.#sealed.keys()])].sort();
  }

  /** What its registration says of them. */
  get registration(): { secrets: string[]; sealingKey: string } {
    return { secrets: this.names, sealingKey: publicKeyOf(this.#privateKey) };
  }

  /** Called when there are others than before. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** @throws NavvyError setup_failed (the task may not have it), internal (it can not be had just now) */
  async valueOf(name: string, record: Pick<TaskRecord, "queue" | "project" | "id">): Promise<string> {
    const source = this.#sources.get(name);
    const sealed = this.#sealed.get(name);
    if (source !== undefined) {
      this.#check(name, source, record);
      return readValue(name, source, this.#agent);
    }
    if (sealed === undefined)
      throw new NavvyError("internal", `agent ${this.#agent} has no secret ${name} any more`, {
        fix: `navvy secret set ${name} --agent ${this.#agent} < FILE`,
      });
    const { value, ...rules } = openSecret(sealed, this.#privateKey);
    this.#check(name, rules, record);
    return value;
  }

  /** What finds these values; made once for all tasks that have the same. */
  automatonOf(values: readonly string[]): Automaton {
    const key = values.join("\0");
    const known = this.#automata.get(key) ?? automatonOf(values);
    this.#automata.delete(key);
    this.#automata.set(key, known);
    const [oldest] = this.#automata.keys();
    if (this.#automata.size > REMEMBERED && oldest !== undefined) this.#automata.delete(oldest);
    return known;
  }

  close(): void {
    this.#stop();
  }

  #changed(name: string, sealed: SealedSecret | undefined): void {
    const had = this.#sealed.has(name);
    if (sealed === undefined || !this.#isGood(sealed)) this.#sealed.delete(name);
    else this.#sealed.set(name, sealed);
    if (this.#isOpen && had !== this.#sealed.has(name)) for (const tell of this.#listeners) tell();
  }

  #isGood(sealed: SealedSecret): boolean {
    try {
      const weakness = weaknessOf(openSecret(sealed, this.#privateKey).value);
      if (weakness !== undefined) this.#log.warn({ secret: sealed.name, by: sealed.by }, `a sealed secret is refused: ${weakness}`);
      return weakness === undefined;
    } catch (error) {
      this.#log.warn({ err: error, secret: sealed.name, by: sealed.by }, "a sealed secret can not be opened: it is not offered");
      return false;
    }
  }

  #check(name: string, { queues, projects }: SecretRules, { queue = "", project, id }: Pick<TaskRecord, "queue" | "project" | "id">): void {
    const why =
      queues && !queues.includes(queue)
        ? `it is for tasks of queue ${queues.join(", ")}, and this one is of ${queue}`
        : projects && !projects.includes(project)
          ? `it is for tasks of project ${projects.join(", ")}, and this one is of ${project}`
          : undefined;
    if (why === undefined) return;
    throw new NavvyError("setup_failed", `agent ${this.#agent} does not give secret ${name} to task ${id}`, {
      why,
      fix: `ask the owner of agent ${this.#agent}, or leave the secret out`,
    });
  }
}

/** Made once; whoever reads it can open what was sealed for this agent. */
async function sealingKeyIn(folder: string): Promise<string> {
  const path = join(folder, "sealing-key.pem");
  await writeFile(path, makeSealingKey(), { flag: "wx", mode: 0o600 }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
  return readFile(path, "utf8");
}
