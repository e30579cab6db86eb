import type { JetStreamClient, JetStreamManager, NatsConnection } from "nats";
import type { Assets, Subjects } from "../protocol/index.js";
import type { Trouble } from "./trouble.js";

/** One connection to NATS with the fleet's names: what every verb of `broker/` works on. */
export interface Bus {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly assets: Assets;
  readonly subjects: Subjects;
  /** The server's address and where it came from, for messages: `nats://… (from NAVVY_SERVER)`. */
  readonly source: string;
  /** The JetStream domain, when behind a leaf node. */
  readonly domain?: string | undefined;
  /** Who makes the changes: `user@host`, or an agent's name. */
  readonly actor: string;
  /** What is written and not stored at the moment. */
  readonly trouble: Trouble;
  /** Calls back after each reconnect; returns how to stop that. */
  onReconnect(listener: () => void): () => void;
}
