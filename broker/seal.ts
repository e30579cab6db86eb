import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { NavvyError, type SealedSecret } from "../protocol/index.js";

const CIPHER = "aes-256-gcm";
const [POINT_BYTES, NONCE_BYTES, TAG_BYTES] = [32, 12, 16];
const PURPOSE = "navvy secret v1";

/** Whose value it is and what it is called: a value that is sealed as one can not be passed off as another. */
type Binding = Pick<SealedSecret, "agent" | "name">;

/** A new key for an agent, as PEM. */
export function makeSealingKey(): string {
  return generateKeyPairSync("x25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

/** What others seal to: 32 bytes, base64. */
export function publicKeyOf(privateKey: string): string {
  return pointOf(createPublicKey(createPrivateKey(privateKey))).toString("base64");
}

/**
 * Seals a text to an agent's public key: a key of this one message (X25519) and the agent's make a secret (HKDF, SHA-256) for AES-256-GCM.
 * @throws NavvyError invalid_argument for a key that is none
 */
export function seal(text: string, to: string, binding: Binding): Uint8Array {
  const { publicKey, privateKey } = generateKeyPairSync("x25519");
  const point = pointOf(publicKey);
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, secretOf({ ours: privateKey, theirs: keyAt(to), point, to: Buffer.from(to, "base64") }), nonce);
  cipher.setAAD(bound(binding));
  return Buffer.concat([point, nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
}

/** @throws NavvyError corrupt: it is for another key, agent or name, or was changed */
export function openSealed(sealed: Uint8Array, privateKey: string, binding: Binding): string {
  const bytes = Buffer.from(sealed);
  const point = bytes.subarray(0, POINT_BYTES);
  const nonce = bytes.subarray(POINT_BYTES, POINT_BYTES + NONCE_BYTES);
  try {
    const own = createPrivateKey(privateKey);
    const to = pointOf(createPublicKey(own));
    const decipher = createDecipheriv(CIPHER, secretOf({ ours: own, theirs: keyAt(point.toString("base64")), point, to }), nonce);
    decipher.setAAD(bound(binding));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    return decipher.update(bytes.subarray(POINT_BYTES + NONCE_BYTES, -TAG_BYTES), undefined, "utf8") + decipher.final("utf8");
  } catch (cause) {
    throw new NavvyError("corrupt", `secret ${binding.name} can not be opened by agent ${binding.agent}`, {
      cause,
      why: "it was sealed to another key, for another agent or under another name, or it was changed",
      fix: `navvy secret set ${binding.name} --agent ${binding.agent} < FILE`,
    });
  }
}

function secretOf({ ours, theirs, point, to }: { ours: KeyObject; theirs: KeyObject; point: Buffer; to: Buffer }): Buffer {
  const shared = diffieHellman({ privateKey: ours, publicKey: theirs });
  return Buffer.from(hkdfSync("sha256", shared, Buffer.concat([point, to]), PURPOSE, 32));
}

function bound({ agent, name }: Binding): Buffer {
  return Buffer.from(`${agent}\0${name}`);
}

function pointOf(key: KeyObject): Buffer {
  return Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url");
}

function keyAt(base64: string): KeyObject {
  const point = Buffer.from(base64, "base64");
  if (point.length !== POINT_BYTES) throw new NavvyError("invalid_argument", `not a public key to seal to: ${JSON.stringify(base64)}`);
  return createPublicKey({ key: { kty: "OKP", crv: "X25519", x: point.toString("base64url") }, format: "jwk" });
}
