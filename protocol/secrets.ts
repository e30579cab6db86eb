import { z } from "zod";
import { NavvyError } from "./errors.js";
import { checkName } from "./names.js";

/** A shorter value would be found in the output where it is not meant, or be left in it. */
export const MIN_SECRET_BYTES = 8;
/** A longer one is a file and no secret: every spelling of it is looked for in all output. */
export const MAX_SECRET_BYTES = 8 * 1024;

export const SECRET_KINDS = ["env", "file"] as const;

/** A secret that a task gets, by its name: the values are its agent's. */
export const SecretUse = z.object({
  /** As its agent calls it. */
  secret: z.string().min(1),
  /** An environment variable, or a file in `$NAVVY_SECRETS`. */
  as: z.enum(SECRET_KINDS).default("env"),
});
export type SecretUse = z.infer<typeof SecretUse>;

/** A value that only its agent can read. */
export const SealedSecret = z.object({
  type: z.literal("navvy.secret.v1"),
  name: z.string(),
  agent: z.string(),
  /** The agent's public key that it is sealed to, base64: with another one it can not be opened any more. */
  key: z.string(),
  /** A public key of its own (32 bytes), a nonce (12), the ciphertext, a tag (16). */
  sealed: z.custom<Uint8Array>((value) => value instanceof Uint8Array, "expected bytes"),
  at: z.string(),
  by: z.string(),
});
export type SealedSecret = z.infer<typeof SealedSecret>;

/**
 * A task that needs a secret matches agents that have it as it matches labels: so an agent that is older than secrets does not take
 * it, and runs nothing without what it needs.
 */
export const secretLabel = (name: string) => `secret:${name}`;
export const HAS_SECRET = "yes";

/** The name of the secret that a label stands for; undefined: it is a plain one. */
export function secretOfLabel(label: string): string | undefined {
  return label.startsWith("secret:") ? label.slice("secret:".length) : undefined;
}

/** What an agent shows to who matches: its labels, and the names of its secrets. */
export function offeredLabels(labels: Readonly<Record<string, string>>, secrets: readonly string[] = []): Record<string, string> {
  return { ...labels, ...Object.fromEntries(secrets.map((name) => [secretLabel(name), HAS_SECRET])) };
}

/** Names of variables that others give a task. */
const TAKEN = /^(NAVVY(_.*)?|PATH|HOME)$/;

/** @throws NavvyError invalid_argument for a name that can not be a variable or file, or stands in the task's environment too */
export function checkSecrets(secrets: Record<string, SecretUse>, env: Record<string, string>): void {
  for (const [name, { secret }] of Object.entries(secrets)) {
    checkName("secret", secret);
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name) || TAKEN.test(name))
      throw new NavvyError("invalid_argument", `${JSON.stringify(name)} is not acceptable as the name that a task knows a secret by`, {
        why: "it is a variable or a file: letters, digits and _, no digit first; not PATH or HOME, and NAVVY_… are navvy's own",
        fix: `--secret ${secret.toUpperCase().replaceAll("-", "_")}=${secret}`,
      });
    if (name in env)
      throw new NavvyError("invalid_argument", `${name} is given twice: as a variable, and as secret ${secret}`, {
        fix: `leave --env ${name} out`,
      });
  }
}

const COMMON = new Set(["password", "password1", "passw0rd", "changeme", "12345678", "123456789", "1234567890", "qwertyui", "undefined"]);

/** Why a value can not be kept secret; undefined: it can. Never holds the value. */
export function weaknessOf(value: string): string | undefined {
  const { length } = new TextEncoder().encode(value);
  if (length < MIN_SECRET_BYTES)
    return `its value has ${length} ${length === 1 ? "byte" : "bytes"}, and the least is ${MIN_SECRET_BYTES}: a shorter one can not be told from other output`;
  if (length > MAX_SECRET_BYTES) return `its value has ${length} bytes, and the most is ${MAX_SECRET_BYTES}`;
  if (value.includes("\0")) return "its value holds a NUL byte";
  if (value.includes("\ufffd")) return "its value is not UTF-8 text";
  if (COMMON.has(value.trim().toLowerCase()) || new Set(value.trim()).size < 4)
    return "its value is one that is found everywhere: it would be redacted where it is not meant, and is guessed at once";
  return value.trim() === value || value.trim().length >= MIN_SECRET_BYTES ? undefined : "its value is mostly blanks";
}
