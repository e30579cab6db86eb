import { NavvyError } from "../../../protocol/index.js";
import { failureOf } from "../failures.js";

/** A failure as MLflow's clients read it. */
export interface MlflowFailure {
  status: number;
  error_code: string;
  message: string;
}

const CODES: Partial<Record<NavvyError["code"], [number, string]>> = {
  not_found: [404, "RESOURCE_DOES_NOT_EXIST"],
  invalid_argument: [400, "INVALID_PARAMETER_VALUE"],
  too_large: [413, "INVALID_PARAMETER_VALUE"],
  aborted: [400, "INVALID_STATE"],
  disk_full: [507, "INTERNAL_ERROR"],
  timeout: [503, "TEMPORARILY_UNAVAILABLE"],
};

/**
 * Clients try 408, 429, 500, 502, 503 and 504 again for minutes, and the script waits: only what passes may be told by one of these.
 */
export function mlflowFailure(error: unknown): MlflowFailure {
  const failure = failureOf(error);
  const [status, error_code] = CODES[failure.code] ?? [501, "INTERNAL_ERROR"];
  return { status, error_code, message: failure.message };
}

/** What MLflow itself does, and is not done here. */
export class NotHere extends Error {
  constructor(
    readonly what: string,
    readonly isEndpoint: boolean,
  ) {
    super(`${what} is not answered by navvy`);
  }
}

export function notHere({ message, isEndpoint }: NotHere): MlflowFailure {
  return isEndpoint ? { status: 404, error_code: "ENDPOINT_NOT_FOUND", message } : { status: 501, error_code: "NOT_IMPLEMENTED", message };
}

export function required(fields: Record<string, unknown>, name: string): string {
  const value = fields[name];
  if (typeof value === "string" && value !== "") return value;
  if (typeof value === "number") return String(value);
  throw new NavvyError("invalid_argument", `Missing value for required parameter '${name}'.`);
}
