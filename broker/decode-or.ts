import type { z } from "zod";
import { decode } from "../protocol/index.js";

/** Decodes a message of something live; one that can not be read goes to `onUnreadable` where there is one, else it throws. */
export function decodeOr<S extends z.ZodType>(
  onUnreadable: ((what: string, error: unknown) => void) | undefined,
  message: { schema: S; bytes: Uint8Array; what: string },
): z.infer<S> | undefined {
  try {
    return decode(message.schema, message.bytes, message.what);
  } catch (error) {
    if (!onUnreadable) throw error;
    onUnreadable(message.what, error);
    return undefined;
  }
}
