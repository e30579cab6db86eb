import { ErrorCode, type NatsError } from "nats";
import { isNavvyError, NavvyError } from "../protocol/index.js";

/** JetStream's numbers for the refusals that we act on (server `errors.json`). */
export const JS_ERROR = {
  wrongLastSequence: 10071,
  streamNotFound: 10059,
  streamNameInUse: 10058,
  consumerNotFound: 10014,
  messageNotFound: 10037,
  notEnabledForAccount: 10039,
  notEnabled: 10076,
  insufficientResources: 10023,
  storageExceeded: 10047,
  streamStoreFailed: 10077,
  noSuitablePeers: 10005,
  replicasNotSupported: 10074,
  temporarilyUnavailable: 10008,
  notLeader: 10009,
  streamOffline: 10118,
  consumerOffline: 10119,
  duplicateUnderWay: 10158,
  sequenceNotReady: 10163,
  keyUnderWay: 10164,
  tooManyRequests: 10167,
} as const;

/**
 * Refusals that pass by themselves: a cluster elects a leader, or another write of the same key or message is still under way
 * among its copies. That write may be our own, whose answer was lost.
 */
const PASSING = new Set<number | undefined>([
  JS_ERROR.temporarilyUnavailable,
  JS_ERROR.notLeader,
  JS_ERROR.streamOffline,
  JS_ERROR.consumerOffline,
  JS_ERROR.duplicateUnderWay,
  JS_ERROR.sequenceNotReady,
  JS_ERROR.keyUnderWay,
  JS_ERROR.tooManyRequests,
]);

export function isNats(error: unknown, ...codes: string[]): error is NatsError {
  return error instanceof Error && error.name === "NatsError" && codes.includes((error as NatsError).code);
}

/** The JetStream API's own number of a refusal, if the error is one. */
export function jetStreamCode(error: unknown): number | undefined {
  return (error as NatsError | undefined)?.api_error?.err_code;
}

/** No answer came: the request may or may not have been carried out. */
export function isUnanswered(error: unknown): boolean {
  return isNats(
    error,
    ErrorCode.Timeout,
    ErrorCode.NoResponders,
    ErrorCode.Disconnect,
    ErrorCode.ConnectionClosed,
    ErrorCode.Cancelled,
    ErrorCode.ConnectionDraining,
  );
}

/** The same request may be answered later. It may also have been carried out already. */
export function mayPass(error: unknown): boolean {
  const number = jetStreamCode(error);
  return number === undefined ? isUnanswered(error) : PASSING.has(number);
}

const FULL = new Set<number | undefined>([JS_ERROR.insufficientResources, JS_ERROR.storageExceeded]);

/** Nothing more can be stored there just now. */
export function isFull(error: unknown): boolean {
  const number = jetStreamCode(error);
  return FULL.has(number) || (number === JS_ERROR.streamStoreFailed && saysFull(error));
}

/** JetStream is off for good, as far as a first request can tell. */
export function translateFirst(error: unknown, doing: string, source: string): NavvyError {
  if (jetStreamCode(error) === JS_ERROR.notEnabledForAccount) return noAccount(doing, source, error);
  return isOff(error) ? noJetStream(doing, source, error) : translate(error, doing, source);
}

/**
 * Puts a NATS client's error into our words; errors of ours pass unchanged. JetStream was there when the connection was made, so
 * that nobody answers for it is an outage like any other: a server that shuts down, a cluster without a leader.
 */
export function translate(error: unknown, doing: string, source: string): NavvyError {
  if (isNavvyError(error)) return error;
  const number = jetStreamCode(error);
  if (isFull(error)) return full(doing, source, error);
  if (isOff(error) || PASSING.has(number) || number === JS_ERROR.notEnabledForAccount) return unable(doing, source, error);
  if (isNats(error, ErrorCode.PermissionsViolation)) return denied(doing, source, error);
  if (isNats(error, ErrorCode.Timeout)) {
    return new NavvyError("timeout", `${doing}: no answer from ${source}`, {
      cause: error,
      why: "the server is down, frozen or out of reach",
      fix: "navvy doctor",
    });
  }
  if (isUnanswered(error)) return unreachable(source, error);
  return new NavvyError("internal", `${doing}: ${(error as Error)?.message ?? String(error)}`, { cause: error });
}

export function unreachable(source: string, cause: unknown): NavvyError {
  return new NavvyError("nats_unreachable", `no NATS server answers at ${source}`, {
    cause,
    why: (cause as Error)?.message ?? String(cause),
    fix: ["start one with everything beside it: navvy dev", "or name yours: --server nats://HOST:4222 (or NAVVY_SERVER)"],
  });
}

export function denied(doing: string, source: string, cause: unknown): NavvyError {
  return new NavvyError("permission_denied", `${doing}: ${source} refuses these credentials`, {
    cause,
    why: (cause as Error)?.message ?? String(cause),
    fix: "give credentials: --token, --user and --password, --nkey or --creds FILE (or NAVVY_TOKEN …), or a context: --context NAME",
  });
}

/** A refusal of the API can carry 503 as well: only one without a number of its own means that nobody answered. */
export function isOff(error: unknown): boolean {
  const number = jetStreamCode(error);
  return number === JS_ERROR.notEnabled || (number === undefined && isNats(error, ErrorCode.NoResponders));
}

function unable(doing: string, source: string, cause: unknown): NavvyError {
  const said = (cause as NatsError).api_error?.description;
  return new NavvyError("timeout", `${doing}: JetStream can not answer just now at ${source}`, {
    cause,
    why: said ? `it says: ${said}` : "nobody leads it: the server shuts down or lost its store, or a cluster elects a leader",
    fix: "navvy doctor",
  });
}

function noJetStream(doing: string, source: string, cause: unknown): NavvyError {
  return new NavvyError("jetstream_unavailable", `${doing}: JetStream is off at ${source}`, {
    cause,
    why: "nobody answers the JetStream API there",
    fix: ["start the server with JetStream: nats-server -js -sd DIR", "or, behind a leaf node, name its domain: --domain NAME"],
  });
}

function noAccount(doing: string, source: string, cause: unknown): NavvyError {
  return new NavvyError("jetstream_unavailable", `${doing}: this account may not use JetStream at ${source}`, {
    cause,
    why: "the server has JetStream, but it is not enabled for the account (server code 10039)",
    fix: "in the server's configuration add to the account:  jetstream: enabled",
  });
}

function full(doing: string, source: string, cause: unknown): NavvyError {
  return new NavvyError("disk_full", `${doing}: the store of ${source} is full`, {
    cause,
    why: (cause as Error)?.message ?? String(cause),
    fix: "free disk or raise max_file_store of the server, then try again",
  });
}

/** The one place where a store's words are read: the server gives no number of its own for a full disk. */
function saysFull(error: unknown): boolean {
  return /no space|maximum bytes|resource limits/i.test((error as NatsError)?.api_error?.description ?? "");
}
