/** What a client may take of the agent. */
export interface ApiLimits {
  /** Open connections of one attempt's socket, and its requests under way by other ways. */
  connections: number;
  /** Open connections of the port, of all attempts together. */
  portConnections: number;
  /** For the head of a request, from when the connection is made. */
  headMs: number;
  /** For a body that is read as a whole. */
  bodyMs: number;
  bodyBytes: number;
  /** Without a byte in either direction, in the middle of a request. */
  idleMs: number;
  /** Between two requests of one connection. */
  keepMs: number;
}

export const API_LIMITS: ApiLimits = {
  connections: 64,
  portConnections: 1_024,
  headMs: 10_000,
  bodyMs: 30_000,
  bodyBytes: 8 * 1024 * 1024,
  idleMs: 30_000,
  keepMs: 60_000,
};
