// Ed25519 keys that sign seals, held by this process or by a key service.

import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";

/** Signs without exposing its private key, so a key service can implement it. */
export type Signer = {
  /** `keyIdOf(publicKey)`. */
  readonly keyId: string;
  readonly publicKey: KeyObject;
  /** The Ed25519 signature of `bytes` (64 bytes). @throws TransientError when a key service does not answer. */
  sign(bytes: Buffer): Promise<Buffer>;
};

/** Key id: hex SHA-256 of the public key's DER (SPKI). */
export function keyIdOf(publicKey: KeyObject): string {
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("hex");
}

/** Opens a private key. @throws TypeError when `pem` is not an Ed25519 private key in PEM (PKCS 8); the message contains no part of it. */
export function openSigner(pem: string): Signer {
  const privateKey = parseKey(pem, createPrivateKey);
  const publicKey = createPublicKey(privateKey);
  return { keyId: keyIdOf(publicKey), publicKey, sign: async (bytes) => sign(null, bytes, privateKey) };
}

/** Parses a public key. @throws TypeError when `pem` is not an Ed25519 public key in PEM (SPKI). */
export function parsePublicKey(pem: string): KeyObject {
  return parseKey(pem, createPublicKey);
}

/** Whether `signature` is this key's signature of `bytes`; false for invalid signatures of any kind. */
export function isSignedBy(publicKey: KeyObject, bytes: Buffer, signature: Buffer): boolean {
  return signature.length === 64 && verify(null, bytes, publicKey, signature);
}

function parseKey(pem: string, parse: (pem: string) => KeyObject): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = parse(pem);
  } catch {
    // OpenSSL's message does not help, and may contain the input.
  }
  if (key?.asymmetricKeyType !== "ed25519") throw new TypeError("must be an Ed25519 key in PEM");
  return key;
}
