import { Session } from "../../broker/index.js";
import type { LogStream, Outcome, TaskRecord } from "../../protocol/index.js";
import type { Client } from "./agent.js";

/** A task whose attempts the test itself plays: no agent, no process. */
export interface ByHand {
  id: string;
  /** Claims its next attempt. */
  begin(): Promise<void>;
  /** Ships text at the end of that stream of the log. */
  print(text: string, stream?: LogStream): Promise<void>;
  /** Publishes one chunk, wherever it belongs. */
  chunk(offset: number, text: string, stream?: LogStream): Promise<void>;
  /** What is known so far, while it runs. */
  report(reported: Partial<TaskRecord["reported"]>): Promise<void>;
  end(options?: {
    outcome?: Outcome;
    reported?: Partial<TaskRecord["reported"]>;
    logBytes?: Record<string, number> | "none";
  }): Promise<void>;
}

/** Creates, enqueues and claims a task. */
export async function byHand(c: Client, options: Parameters<Client["submit"]>[1] = {}): Promise<ByHand> {
  const { tasks, logs, bus } = c.navvy;
  const session = await Session.open(bus, { agent: "hand", leaseMs: 60_000 });
  const id = await c.submit(["true"], options);
  let claim: Awaited<ReturnType<typeof tasks.claims.claim>>;
  let bytes: Record<string, number> = {};
  const held = () => claim ?? fail(id);
  const chunk = async (offset: number, text: string, stream: LogStream = "out") => {
    const data = Buffer.from(text);
    await logs.publish({ id, attempt: held().attempt }, { stream, offset, at: new Date().toISOString(), data });
    bytes[stream] = Math.max(bytes[stream] ?? 0, offset + data.length);
  };
  const hand: ByHand = {
    id,
    chunk,
    begin: async () => {
      const { ticket } = await c.record(id);
      claim = await tasks.claims.claim({ id, ticket }, session.owner, { isHeld: () => false });
      bytes = {};
      held();
    },
    print: (text, stream = "out") => chunk(bytes[stream] ?? 0, text, stream),
    report: async (reported) => {
      await tasks.claims.note(held(), { reported: { ...held().record.reported, ...reported } });
    },
    end: async ({ outcome, reported, logBytes = bytes } = {}) => {
      await tasks.claims.finish(held(), outcome ?? { kind: "exited", code: 0 }, {
        reported: { ...held().record.reported, ...reported },
        ...(logBytes === "none" ? {} : { logBytes }),
      });
    },
  };
  await hand.begin();
  return hand;
}

function fail(id: string): never {
  throw new Error(`task ${id} could not be claimed`);
}
