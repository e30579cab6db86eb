/** `navvy`: the client. The verbs of a fleet over NATS: tasks, queues, logs, metrics, artifacts, events, agents. */
export { isNavvyError, NavvyError } from "../protocol/index.js";
export { Artifacts, artifactObjects, type ContentRef, inputRefOf } from "./artifacts.js";
export { Bucket, type Entry } from "./bucket.js";
export { type CapturedCheckout, captureCheckout, packBundle, unpackBundle } from "./bundle/index.js";
export type { Bus } from "./bus.js";
export { defaultActor, isOlder } from "./connect.js";
export type { ContentStore } from "./contents/content-store.js";
export { putFolder } from "./contents/folder.js";
export { parseStoreUrl } from "./contents/store-url.js";
export { type ConnectionSettings, DEFAULT_SERVER, resolveSettings, type SettingName, type Sourced } from "./context.js";
export { Events, type NewEvent } from "./events.js";
export { type AgentView, Fleet } from "./fleet.js";
export { type Journal, Journals, type Noted } from "./journal.js";
export { Leadership } from "./leadership.js";
export { letExit } from "./let-exit.js";
export { CHUNK_BYTES, LogFrame } from "./log-frame.js";
export { type LogPiece, Logs, type ReadLogOptions } from "./logs.js";
export { Metrics } from "./metrics.js";
export { findModel, type Model, modelsOf } from "./models.js";
export { connect, type Navvy, type NavvyOptions } from "./navvy.js";
export { Objects } from "./objects.js";
export { type PullEnd, type PulledMessage, Puller } from "./pull.js";
export { classRank, Queues } from "./queues.js";
export * from "./schedules/index.js";
export { makeSealingKey, publicKeyOf } from "./seal.js";
export { type OpenSecret, openSecret, type SecretRules } from "./secrets.js";
export type { ControlHandlers, ServeOptions } from "./serve-agent.js";
export * from "./server/index.js";
export { DEFAULT_LEASE_MS, Session, sessionKey, sessionsBucket } from "./session.js";
export { snapshot } from "./snapshot.js";
export * from "./storage/index.js";
export {
  type AbortProgress,
  afterOutcome,
  type Claim,
  type ClaimOptions,
  type Claims,
  type CloneOverrides,
  DEFAULT_PROJECT,
  derivedId,
  type EnqueueOptions,
  type Held,
  type NewTask,
  type Settled,
  type TaskFilter,
  Tasks,
  type WaitOptions,
} from "./tasks/index.js";
export * from "./triggers/index.js";
export { Watch } from "./watch.js";
