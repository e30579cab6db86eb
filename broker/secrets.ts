import { checkName, NavvyError, SealedSecret, weaknessOf } from "../protocol/index.js";
import { Bucket } from "./bucket.js";
import type { Bus } from "./bus.js";
import type { Fleet } from "./fleet.js";
import { openSealed, seal } from "./seal.js";
import { snapshot } from "./snapshot.js";
import { Watch } from "./watch.js";

/** Which tasks may have a secret. Absent: those of every queue, of every project. */
export interface SecretRules {
  queues?: string[] | undefined;
  projects?: string[] | undefined;
}

/** What is sealed: the rules cannot be widened without the value. */
export interface OpenSecret extends SecretRules {
  value: string;
}

/** Values that are sealed to single agents, in the fleet's control bucket. Nobody else can read them, nor this class. */
export class Secrets {
  readonly #bus: Bus;
  readonly #fleet: Fleet;
  readonly #bucket: Bucket<typeof SealedSecret>;

  constructor(bus: Bus, fleet: Fleet) {
    this.#bus = bus;
    this.#fleet = fleet;
    this.#bucket = new Bucket(bus, bus.assets.buckets.control.name, SealedSecret);
  }

  /**
   * Seals a value to an agent; nothing is stored.
   * @throws NavvyError invalid_argument (a name or value that can not be one), not_found (no such agent), illegal_move (it has no key yet)
   */
  async seal(name: string, secret: OpenSecret, agent: string): Promise<SealedSecret> {
    checkName("secret", name);
    const weakness = weaknessOf(secret.value);
    if (weakness !== undefined) throw new NavvyError("invalid_argument", `secret ${name} can not be kept: ${weakness}`);
    const { record } = await this.#fleet.agent(agent);
    const key = record.sealingKey;
    if (key === undefined)
      throw new NavvyError("illegal_move", `agent ${agent} has no key to seal to`, {
        why: `it runs navvy ${record.version}, which knows nothing of secrets`,
        fix: `navvy agent upgrade ${agent}`,
      });
    const sealed = seal(JSON.stringify(secret), key, { agent, name });
    return { type: "navvy.secret.v1", name, agent, key, sealed, at: new Date().toISOString(), by: this.#bus.actor };
  }

  /** Stores it; its agent has it within a moment. One of the same name is replaced. */
  async set(secret: SealedSecret): Promise<void> {
    const key = keyOf(secret);
    if ((await this.#bucket.create(key, secret)) === undefined) await this.#bucket.modify(key, () => secret);
  }

  /** Without values, sorted. */
  async list(agent = "*"): Promise<SealedSecret[]> {
    const entries = await snapshot(this.#bus, this.#bucket, { keys: `secret.${agent}.*` });
    return entries.map(({ value }) => value).sort((a, b) => a.name.localeCompare(b.name) || a.agent.localeCompare(b.agent));
  }

  /** @throws NavvyError not_found */
  async remove(name: string, agent?: string): Promise<SealedSecret[]> {
    const found = (await this.list(agent)).filter((secret) => secret.name === name);
    if (found.length === 0)
      throw new NavvyError(
        "not_found",
        `there is no sealed secret ${JSON.stringify(name)}${agent === undefined ? "" : ` of agent ${agent}`}`,
        {
          fix: "navvy secret ls",
        },
      );
    await Promise.all(found.map((secret) => this.#bucket.delete(keyOf(secret))));
    return found;
  }

  /** Tells of an agent's sealed secrets: all of them, then each change. Returns how to stop. */
  async watch(agent: string, onChange: (name: string, secret: SealedSecret | undefined) => void): Promise<() => void> {
    let ready = () => {};
    const isReady = new Promise<void>((resolve) => (ready = resolve));
    const watch = await Watch.open(this.#bus, this.#bucket as unknown as Bucket<never>, {
      keys: `secret.${agent}.*`,
      onReady: ready,
      onEntry: (entry) => {
        const name = entry.key.split(".").at(-1) ?? "";
        try {
          onChange(name, this.#bucket.read(entry)?.value);
        } catch {
          onChange(name, undefined); // of a newer navvy, or not ours at all
        }
      },
    });
    await isReady;
    return () => watch.close();
  }
}

/** For its agent. @throws NavvyError corrupt */
export function openSecret(secret: SealedSecret, privateKey: string): OpenSecret {
  return JSON.parse(openSealed(secret.sealed, privateKey, secret)) as OpenSecret;
}

function keyOf({ agent, name }: SealedSecret): string {
  return `secret.${checkName("agent", agent)}.${checkName("secret", name)}`;
}
