import { createHmac, randomBytes } from "node:crypto";
import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** What an agent keeps of its API, so that what it runs finds it again after a restart. */
interface Kept {
  /** Attempts' tokens derive from it. */
  secret: string;
  /** Of the loopback address. */
  port?: number;
  /** The address that containers reach this machine at, where one was listened on. */
  gateway?: string;
}

/** The file of an agent that holds it. */
export class ApiMemory {
  readonly #path: string;
  readonly #kept: Kept;

  static async open(agentFolder: string): Promise<ApiMemory> {
    const path = join(agentFolder, "api.json");
    const kept = await readFile(path, "utf8").then((text) => JSON.parse(text) as Partial<Kept>, nothing);
    if (typeof kept.secret === "string") return new ApiMemory(path, { ...kept, secret: kept.secret });
    const memory = new ApiMemory(path, { secret: randomBytes(32).toString("base64url") });
    await memory.#write();
    return memory;
  }

  private constructor(path: string, kept: Kept) {
    this.#path = path;
    this.#kept = kept;
  }

  get port(): number | undefined {
    return this.#kept.port;
  }

  get gateway(): string | undefined {
    return this.#kept.gateway;
  }

  async keep(kept: Partial<Omit<Kept, "secret">>): Promise<void> {
    Object.assign(this.#kept, kept);
    await this.#write();
  }

  /** What lets one attempt in, and no other: the same whenever it is asked for. */
  tokenOf(key: string): string {
    return createHmac("sha256", this.#kept.secret).update(key).digest("base64url").slice(0, 32);
  }

  async #write(): Promise<void> {
    await writeFile(`${this.#path}.next`, JSON.stringify(this.#kept), { mode: 0o600 });
    await rename(`${this.#path}.next`, this.#path);
  }
}

/** There is none yet, or a power failure left nothing of it that can be read. */
const nothing = (): Partial<Kept> => ({});
