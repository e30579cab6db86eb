import { AckPolicy, createInbox, DeliverPolicy, type Msg, type NatsConnection, nanos, type Subscription } from "nats";
import type { Bus } from "../bus.js";
import type { Link } from "./link.js";

/** Chunks asked for and not yet taken, at most: with the usual chunk of 512 KB 4 MB. */
const WINDOW = 8;
const STALL_MS = 20_000;
const INACTIVE_MS = 60_000;

export interface PulledChunk {
  /** Sequence in the stream. */
  seq: number;
  data: Uint8Array;
}

/**
 * One ephemeral pull consumer over an object's chunks, for as long as it lives: it ends (`next` gives undefined) when
 * the connection breaks, the server answers anything but a chunk, or none comes. Whoever reads goes on with a new one
 * behind the last sequence. It asks for a few chunks at a time, so a slow reader holds up the server and not the memory.
 */
export class Pull {
  /** Chunks that were there when it was opened. */
  readonly pending: number;
  readonly #bus: Bus;
  readonly #link: Link;
  /** Of the connection it was opened on: with that the consumer's deliveries end. */
  readonly #generation: number;
  readonly #target: { stream: string; consumer: string };
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #queue: PulledChunk[] = [];
  #wake: (() => void) | undefined;
  #requested = 0;
  #delivered = 0;
  #isOver = false;

  private constructor(bus: Bus, link: Link, { pending, ...target }: { stream: string; consumer: string; pending: number }) {
    this.#bus = bus;
    this.#link = link;
    this.#generation = link.generation;
    this.#target = target;
    this.pending = pending;
    this.#inbox = createInbox(inboxPrefix(bus.nc));
    this.#subscription = bus.nc.subscribe(this.#inbox, { callback: (error, message) => this.#take(error, message) });
  }

  /** Opens at the first chunk whose sequence is at least `fromSeq`. */
  static async open(bus: Bus, link: Link, from: { stream: string; subject: string; fromSeq: number }): Promise<Pull> {
    const info = await link.persist(() =>
      bus.jsm.consumers.add(from.stream, {
        ack_policy: AckPolicy.None,
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: from.fromSeq,
        filter_subject: from.subject,
        inactive_threshold: nanos(INACTIVE_MS),
        mem_storage: true,
        num_replicas: 1,
      }),
    );
    return new Pull(bus, link, { stream: from.stream, consumer: info.name, pending: info.num_pending });
  }

  /** Undefined: all that was there has been taken, or this consumer is over. */
  async next(): Promise<PulledChunk | undefined> {
    this.#ask();
    const isWaiting = this.#queue.length === 0 && this.#delivered < this.pending && !this.#isOver;
    if (isWaiting) await this.#link.hold(this.#generation, this.#arrival()).catch(() => this.#end());
    return this.#queue.shift();
  }

  /** Nothing is waited for: the server drops an idle ephemeral consumer by itself. */
  close(): void {
    this.#end();
    this.#subscription.unsubscribe();
    if (this.#bus.nc.isClosed()) return;
    this.#bus.jsm.consumers.delete(this.#target.stream, this.#target.consumer).catch(() => undefined);
  }

  #ask(): void {
    const underway = this.#requested - this.#delivered + this.#queue.length;
    const batch = Math.min(WINDOW - underway, this.pending - this.#requested);
    if (this.#isOver || batch <= 0 || underway > WINDOW / 2) return;
    this.#requested += batch;
    const subject = `${this.#bus.js.apiPrefix}.CONSUMER.MSG.NEXT.${this.#target.stream}.${this.#target.consumer}`;
    this.#bus.nc.publish(subject, JSON.stringify({ batch, expires: nanos(STALL_MS) }), { reply: this.#inbox });
  }

  #arrival(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#end(), STALL_MS);
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = undefined;
        resolve();
      };
    });
  }

  #take(error: Error | null, message: Msg): void {
    const sequences = error ? undefined : readSequences(message.reply);
    if (sequences?.consumer !== this.#delivered + 1) return this.#end(); // a status, or one was lost on the way
    this.#delivered++;
    this.#queue.push({ seq: sequences.stream, data: message.data });
    this.#wake?.();
  }

  #end(): void {
    this.#isOver = true;
    this.#wake?.();
  }
}

/** `$JS.ACK.<stream>.<consumer>.<tries>.<stream sequence>.<consumer sequence>…`, with two more tokens in front on newer servers. */
function readSequences(reply: string | undefined): { stream: number; consumer: number } | undefined {
  if (!reply?.startsWith("$JS.ACK.")) return undefined;
  const tokens = reply.split(".");
  const at = tokens.length > 9 ? 7 : 5;
  return { stream: Number(tokens[at]), consumer: Number(tokens[at + 1]) };
}

/** The client keeps its options to itself; without the prefix an agent with narrow permissions may not listen. */
function inboxPrefix(nc: NatsConnection): string | undefined {
  return (nc as { options?: { inboxPrefix?: string } }).options?.inboxPrefix;
}
