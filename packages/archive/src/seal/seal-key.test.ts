import { generateKeyPairSync } from "node:crypto";

import { sealKey } from "@actions-archive/core/object-key";
import { expect, test } from "vitest";

import { newSigner } from "../../test-support/seal-samples.ts";
import { isSignedBy, keyIdOf, openSigner, parsePublicKey } from "./seal-key.ts";

test("a signature is verified with the public key in PEM, which has the same key id", async () => {
  const signer = newSigner();
  const publicKey = parsePublicKey(signer.publicKey.export({ type: "spki", format: "pem" }));
  expect(keyIdOf(publicKey)).toBe(signer.keyId);
  expect(isSignedBy(publicKey, Buffer.from("text"), await signer.sign(Buffer.from("text")))).toBe(true);
  expect(isSignedBy(publicKey, Buffer.from("other"), await signer.sign(Buffer.from("text")))).toBe(false);
  expect(isSignedBy(publicKey, Buffer.from("text"), Buffer.alloc(3))).toBe(false);
});

test("a key of another type and invalid text are refused without being quoted", () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  for (const pem of [privateKey.export({ type: "pkcs8", format: "pem" }), "secret", ""]) {
    expect(() => openSigner(pem)).toThrow(/^must be an Ed25519 key in PEM$/);
    expect(() => parsePublicKey(pem)).toThrow(/^must be an Ed25519 key in PEM$/);
  }
});

test("seals are named in the order of their sequence", () => {
  expect([1, 9, 10, 123_456_789_012].map(sealKey)).toEqual([
    "seals/000000000001.json",
    "seals/000000000009.json",
    "seals/000000000010.json",
    "seals/123456789012.json",
  ]);
});
