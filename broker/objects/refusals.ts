import { NavvyError } from "../../protocol/index.js";
import { JS_ERROR, jetStreamCode, translate } from "../nats-error.js";

/** The account's limit is reached (server `errors.json`). */
const ACCOUNT_LIMIT = 10002;

/**
 * For this stream "store failed" is a full store too: its only limits are bytes, and it discards what is new.
 */
const FULL = new Set<number | undefined>([
  JS_ERROR.streamStoreFailed,
  JS_ERROR.storageExceeded,
  JS_ERROR.insufficientResources,
  ACCOUNT_LIMIT,
]);

/** Puts NATS's refusals into our words; errors of an upload's source pass unchanged, so that whoever gave it knows them again. */
export function translateRefusal(error: unknown, { doing, source }: { doing: string; source: string }): unknown {
  if (!(error instanceof Error) || error.name !== "NatsError") return error;
  if (!FULL.has(jetStreamCode(error))) return translate(error, doing, source);
  return new NavvyError("disk_full", `${doing}: the object store of ${source} is full`, {
    cause: error,
    why: error.message,
    fix: [
      "free room: navvy gc (navvy storage says what lies where)",
      "or raise the server's max_file_store, or the stream's and the account's limits",
    ],
  });
}
