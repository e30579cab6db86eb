import {
  type AgentRecord,
  AgentRecord as AgentSchema,
  type AgentVerb,
  Beat,
  type ControlReply,
  type ControlRequest,
  closest,
  encode,
  NavvyError,
} from "../protocol/index.js";
import { askAgent } from "./ask-agent.js";
import { Bucket } from "./bucket.js";
import type { Bus } from "./bus.js";
import { decodeOr } from "./decode-or.js";
import { type ServeOptions, serveAgent } from "./serve-agent.js";
import { sessionsBucket } from "./session.js";
import { snapshot } from "./snapshot.js";

/** An agent as its registration says, and as it is: `up` while its session lives, `beat` when it answered just now. */
export interface AgentView {
  record: AgentRecord;
  isUp: boolean;
  beat?: Beat;
}

/** The agents: registrations, beats, and asking one directly. */
export class Fleet {
  readonly bucket: Bucket<typeof AgentSchema>;
  readonly #bus: Bus;

  constructor(bus: Bus) {
    this.#bus = bus;
    this.bucket = new Bucket(bus, bus.assets.buckets.agents.name, AgentSchema);
  }

  /** Writes what an agent is and serves; the last writer wins. */
  async register(record: AgentRecord): Promise<void> {
    if ((await this.bucket.create(record.name, record)) === undefined) await this.bucket.modify(record.name, () => record);
  }

  /** Notes that an agent left in good order, unless a newer session of that name has registered. */
  async leave(name: string, session: string): Promise<void> {
    await this.bucket.modify(name, (record) => (record.session === session ? { ...record, leftAt: new Date().toISOString() } : undefined));
  }

  /** Every agent that ever registered and was not removed. `ask` also gets each live one's beat, directly. */
  async agents(options: { ask?: boolean } = {}): Promise<AgentView[]> {
    const [entries, sessions] = await Promise.all([snapshot(this.#bus, this.bucket), snapshot(this.#bus, sessionsBucket(this.#bus))]);
    const alive = new Set(sessions.map((entry) => entry.value.session));
    const views = entries.map(({ value: record }) => ({ record, isUp: alive.has(record.session) }));
    views.sort((a, b) => a.record.name.localeCompare(b.record.name));
    return options.ask ? Promise.all(views.map((view) => this.#withBeat(view))) : views;
  }

  /** @throws NavvyError not_found, with the name that was probably meant */
  async agent(name: string): Promise<AgentView> {
    const views = await this.agents();
    const found = views.find((view) => view.record.name === name);
    if (found) return found;
    const names = views.map((view) => view.record.name);
    const meant = closest(name, names);
    throw new NavvyError("not_found", `there is no agent ${JSON.stringify(name)}${meant ? `; did you mean ${meant}?` : ""}`, {
      why: names.length ? `there are: ${names.join(", ")}` : "no agent has ever registered here",
      fix: "navvy agent ls",
    });
  }

  /** Removes a registration of an agent that is gone. @throws NavvyError illegal_move while it is up */
  async remove(name: string): Promise<void> {
    const view = await this.agent(name);
    if (view.isUp) throw new NavvyError("illegal_move", `agent ${name} is up`, { fix: `navvy agent stop ${name}` });
    await this.bucket.delete(name);
  }

  /** Asks one agent; undefined when it does not answer. */
  ask(
    name: string,
    verb: AgentVerb,
    request: Partial<Omit<ControlRequest, "type" | "by">> & { timeoutMs?: number } = {},
  ): Promise<ControlReply | undefined> {
    return askAgent(this.#bus, name, { verb, ...request });
  }

  /** Answers what is asked of one agent directly. Returns how to stop. */
  serve(options: ServeOptions): () => void {
    return serveAgent(this.#bus, options);
  }

  /** Publishes a sign of life; losing one costs nothing. `keep` also stores a copy for charts. */
  beat(beat: Beat, options: { keep: boolean }): void {
    if (this.#bus.nc.isClosed()) return;
    const bytes = encode(beat);
    this.#bus.nc.publish(this.#bus.subjects.beat(beat.agent), bytes);
    if (options.keep) this.#bus.nc.publish(`${this.#bus.subjects.root}.beats.${beat.agent}`, bytes);
  }

  /** Live beats of one agent or all. Ends when the signal fires; one that can not be read goes to `onUnreadable`, else it throws. */
  async *beats(
    options: { agent?: string; signal?: AbortSignal; onUnreadable?: (subject: string, error: unknown) => void } = {},
  ): AsyncGenerator<Beat> {
    const subscription = this.#bus.nc.subscribe(this.#bus.subjects.beat(options.agent ?? "*"));
    const stop = () => subscription.unsubscribe();
    options.signal?.addEventListener("abort", stop, { once: true });
    try {
      for await (const message of subscription) {
        const beat = decodeOr(options.onUnreadable, { schema: Beat, bytes: message.data, what: message.subject });
        if (beat) yield beat;
      }
    } finally {
      options.signal?.removeEventListener("abort", stop);
      subscription.unsubscribe();
    }
  }

  async #withBeat(view: AgentView): Promise<AgentView> {
    if (!view.isUp) return view;
    const reply = await askAgent(this.#bus, view.record.name, { verb: "info", timeoutMs: 700 });
    const beat = Beat.safeParse(reply?.data?.beat);
    return beat.success ? { ...view, beat: beat.data } : view;
  }
}
