/** Something on the agent's disk that can go when the room is needed. */
export interface Disposable {
  /** For the log. */
  what: string;
  usedAtMs: number;
  /** Undefined: nobody counted. */
  sizeBytes?: number;
  /** Nothing happens when it has come into use meanwhile. */
  dispose(): Promise<void>;
}
