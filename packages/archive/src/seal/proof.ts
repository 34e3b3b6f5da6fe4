// Proofs that one object was sealed: small files that can be verified with the public key only.

import type { KeyObject } from "node:crypto";

import { PermanentError } from "@actions-archive/core/errors";
import { z } from "zod";

import { canonicalBytes } from "../store/canonical-bytes.ts";
import { leafHash, rootOfPath } from "./merkle.ts";
import { SealHeadEnvelope, type VerifiedSeal, verifySealHead } from "./seal-envelope.ts";
import { pathOf, SealEntry, SealHead } from "./seal.ts";

const Proof = z.strictObject({
  entry: SealEntry,
  index: z.int().nonnegative().describe("of the entry in the seal, from 0"),
  path: z.array(z.string().regex(/^[0-9a-f]{64}$/)).describe("RFC 6962 inclusion path, nearest first"),
  head: SealHeadEnvelope,
});
export type Proof = z.output<typeof Proof>;

/** A proof of the object `key`, of the last of its versions in the seal; undefined if the seal does not contain it. */
export function makeProof({ seal, head }: Pick<VerifiedSeal, "seal" | "head">, key: string): Proof | undefined {
  const index = seal.entries.findLastIndex((entry) => entry.key === key);
  const entry = seal.entries[index];
  return entry && { entry, index, path: pathOf(seal.entries, index), head };
}

/** The key id in the proof's head, unverified. @throws ZodError when the head is invalid. */
export function parseHeadKeyId({ head }: Proof): string {
  return SealHead.parse(JSON.parse(Buffer.from(head.payload, "base64").toString("utf8"))).key_id;
}

/**
 * Verifies `proof`, the parsed JSON of a file, and returns the head of the seal that contains its entry.
 * @throws PermanentError `store/corrupt`, with the file's `name`, when it does not prove that.
 */
export function verifyProof(proof: unknown, publicKey: KeyObject, name: string): SealHead {
  const parsed = Proof.safeParse(proof);
  if (!parsed.success)
    throw new PermanentError("store/corrupt", `${name} is not a proof in the format of this version.`, { cause: parsed.error });
  const { entry, index, path, head } = parsed.data;
  const sealed = verifySealHead(head, publicKey, name);
  const hashes = path.map((hash) => Buffer.from(hash, "hex"));
  const root = rootOfPath(leafHash(canonicalBytes(entry)), { index, size: sealed.entries }, hashes);
  if (root?.toString("hex") !== sealed.entries_root)
    throw new PermanentError(
      "store/corrupt",
      `${name} does not prove that seal ${sealed.sequence} contains ${entry.key}: it was changed.`,
    );
  return sealed;
}
