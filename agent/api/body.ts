import type { IncomingMessage } from "node:http";
import { NavvyError } from "../../protocol/index.js";
import type { Call } from "./call.js";

/** The whole of a request's body. @throws NavvyError too_large, timeout, aborted (the client went away) */
export async function readBody({ request, limits }: Pick<Call, "request" | "limits">): Promise<Buffer> {
  const tooLarge = () =>
    new NavvyError("too_large", `the request's body is over the limit of ${limits.bodyBytes} bytes`, {
      fix: "send it in several requests",
    });
  if (Number(request.headers["content-length"] ?? 0) > limits.bodyBytes) throw tooLarge();
  const late = setTimeout(() => request.destroy(lateError(limits.bodyMs)), limits.bodyMs);
  const parts: Buffer[] = [];
  let sizeBytes = 0;
  try {
    // One that is left early is not to be cut before it is answered.
    for await (const part of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      sizeBytes += part.length;
      if (sizeBytes > limits.bodyBytes) throw tooLarge();
      parts.push(part);
    }
  } catch (error) {
    if (error instanceof NavvyError) throw error;
    throw new NavvyError("aborted", "the client went away in the middle of its request", { cause: error });
  } finally {
    clearTimeout(late);
  }
  return Buffer.concat(parts);
}

/** The body as a JSON object; an empty one is one without fields. @throws NavvyError invalid_argument, and as above */
export async function readJson(call: Pick<Call, "request" | "limits">): Promise<Record<string, unknown>> {
  const text = (await readBody(call)).toString("utf8");
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    throw new NavvyError("invalid_argument", `the request's body is not JSON: ${(error as Error).message}`);
  }
  throw new NavvyError("invalid_argument", "the request's body is not a JSON object");
}

/** Takes what is left of a body that nobody wants, for a moment, so that the client reads the answer and no broken connection. */
export function discardBody(request: IncomingMessage, limitMs: number): void {
  if (request.complete || request.destroyed) return;
  const late = setTimeout(() => request.destroy(), limitMs);
  request.once("close", () => clearTimeout(late));
  request.on("error", () => undefined);
  request.resume();
}

function lateError(limitMs: number): NavvyError {
  return new NavvyError("timeout", `the request was not there within ${limitMs} ms`);
}
