import { type ErrorCode, NavvyError } from "../../protocol/index.js";
import type { StorePlace } from "./store-url.js";

type Told = { code: ErrorCode; what: string; fix: string };

const WHERE_CREDENTIALS_ARE =
  "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials with AWS_PROFILE, of whoever runs this process";

/** What the service says, by its own names for it. */
const KNOWN: Record<string, Told> = {
  NoSuchBucket: { code: "not_found", what: "there is no such bucket", fix: "make it, or name another with --artifact-store" },
  InvalidAccessKeyId: { code: "permission_denied", what: "the access key is not known there", fix: WHERE_CREDENTIALS_ARE },
  SignatureDoesNotMatch: { code: "permission_denied", what: "the secret key does not fit the access key", fix: WHERE_CREDENTIALS_ARE },
  ExpiredToken: { code: "permission_denied", what: "the credentials have run out", fix: "log in anew (aws sso login), or renew the token" },
  AccessDenied: {
    code: "permission_denied",
    what: "the credentials do not allow this",
    fix: "allow s3:GetObject, s3:PutObject and s3:DeleteObject below the prefix, and s3:ListBucket",
  },
  Forbidden: { code: "permission_denied", what: "the credentials are refused", fix: WHERE_CREDENTIALS_ARE },
  CredentialsProviderError: { code: "permission_denied", what: "there are no credentials", fix: WHERE_CREDENTIALS_ARE },
  RequestTimeTooSkewed: {
    code: "permission_denied",
    what: "this machine's clock is too far from the service's",
    fix: "set the clock: timedatectl set-ntp true",
  },
  PermanentRedirect: { code: "invalid_argument", what: "the bucket lies in another region", fix: "s3://bucket/prefix?region=REGION" },
  AuthorizationHeaderMalformed: { code: "invalid_argument", what: "the region is wrong", fix: "s3://bucket/prefix?region=REGION" },
  QuotaExceeded: { code: "disk_full", what: "its quota is used up", fix: "free room there" },
  XMinioStorageFull: { code: "disk_full", what: "it is full", fix: "free room there" },
};

const UNREACHABLE = new Set(["ECONNREFUSED", "ENOTFOUND", "ECONNRESET", "ETIMEDOUT", "EHOSTUNREACH", "EAI_AGAIN", "EPIPE"]);

/** Names bucket, key, cause and what to do; never a key or a secret. */
export function translateS3(error: unknown, place: Extract<StorePlace, { kind: "s3" }>, name: string): unknown {
  if (error instanceof NavvyError) return error;
  const {
    name: kind = "",
    message = "",
    code = "",
    $metadata,
  } = error as Error & { code?: string; $metadata?: { httpStatusCode?: number } };
  const at = `s3://${place.bucket}/${place.prefix ? `${place.prefix}/` : ""}${name}${place.endpoint ? ` at ${place.endpoint}` : ""}`;
  const status = $metadata?.httpStatusCode;
  const told = KNOWN[kind] ?? (status === 403 ? KNOWN.Forbidden : undefined);
  const detail = { bucket: place.bucket, name, ...(status ? { status } : {}) };
  const why = `${kind || code}${message && message !== kind ? `: ${message}` : ""}`.slice(0, 300);
  if (told) return new NavvyError(told.code, `${at}: ${told.what}`, { cause: error, why, fix: told.fix, detail });
  if (/region is missing/i.test(message))
    return new NavvyError("invalid_argument", `${at}: no region is known`, {
      cause: error,
      why,
      fix: "s3://bucket/prefix?region=REGION, or AWS_REGION",
      detail,
    });
  if (UNREACHABLE.has(code) || kind === "TimeoutError" || (status ?? 0) >= 500 || kind === "SlowDown")
    return new NavvyError("timeout", `${at}: the service does not answer`, {
      cause: error,
      why,
      fix: "look whether it is up and the endpoint is right",
      detail,
    });
  return new NavvyError("internal", `${at}: the service refused it`, { cause: error, why, detail });
}
