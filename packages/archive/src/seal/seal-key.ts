// Who seals: an Ed25519 key of this process, or a service that keeps one.

import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";

/** Signs without showing its key, so that a key service can stand behind it. */
export type Signer = {
  /** By `keyIdOf(publicKey)`. */
  readonly keyId: string;
  readonly publicKey: KeyObject;
  /** The Ed25519 signature of `bytes`, 64 bytes. @throws TransientError when a service does not answer. */
  sign(bytes: Buffer): Promise<Buffer>;
};

/** Hex SHA-256 of the public key's DER (SPKI). */
export function keyIdOf(publicKey: KeyObject): string {
  return createHash("sha256")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("hex");
}

/** @throws TypeError when `pem` is no Ed25519 private key in PEM (PKCS 8); the message repeats nothing of it. */
export function openSigner(pem: string): Signer {
  const privateKey = parseKey(pem, createPrivateKey);
  const publicKey = createPublicKey(privateKey);
  return { keyId: keyIdOf(publicKey), publicKey, sign: async (bytes) => sign(null, bytes, privateKey) };
}

/** @throws TypeError when `pem` is no Ed25519 public key in PEM (SPKI). */
export function parsePublicKey(pem: string): KeyObject {
  return parseKey(pem, createPublicKey);
}

/** True when `signature` is this key's over `bytes`; false for whatever else it may be. */
export function isSignedBy(publicKey: KeyObject, bytes: Buffer, signature: Buffer): boolean {
  return signature.length === 64 && verify(null, bytes, publicKey, signature);
}

function parseKey(pem: string, parse: (pem: string) => KeyObject): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = parse(pem);
  } catch {
    // OpenSSL's message says nothing that helps, and may repeat the input.
  }
  if (key?.asymmetricKeyType !== "ed25519") throw new TypeError("must be an Ed25519 key in PEM");
  return key;
}
