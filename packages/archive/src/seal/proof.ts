// A proof: that one object was sealed, in one small file, for who has the public key and nothing else.

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

/** A proof of the object `key` (each of its versions that the seal holds: the last), or undefined when the seal does not hold it. */
export function makeProof({ seal, head }: Pick<VerifiedSeal, "seal" | "head">, key: string): Proof | undefined {
  const index = seal.entries.findLastIndex((entry) => entry.key === key);
  const entry = seal.entries[index];
  return entry && { entry, index, path: pathOf(seal.entries, index), head };
}

/** The id of the key that the proof's seal says to be signed with; it is not checked. @throws ZodError for a head of another form. */
export function parseHeadKeyId({ head }: Proof): string {
  return SealHead.parse(JSON.parse(Buffer.from(head.payload, "base64").toString("utf8"))).key_id;
}

/**
 * The head of the seal that `proof`, parsed JSON of a file, shows to hold its entry.
 * @throws PermanentError `store/corrupt`, which names the file, when it shows no such thing.
 */
export function verifyProof(proof: unknown, publicKey: KeyObject, name: string): SealHead {
  const parsed = Proof.safeParse(proof);
  if (!parsed.success)
    throw new PermanentError("store/corrupt", `${name} is no proof that this version made.`, { cause: parsed.error });
  const { entry, index, path, head } = parsed.data;
  const sealed = verifySealHead(head, publicKey, name);
  const hashes = path.map((hash) => Buffer.from(hash, "hex"));
  const root = rootOfPath(leafHash(canonicalBytes(entry)), { index, size: sealed.entries }, hashes);
  if (root?.toString("hex") !== sealed.entries_root)
    throw new PermanentError(
      "store/corrupt",
      `${name} does not prove that seal ${sealed.sequence} holds ${entry.key}: it was changed.`,
    );
  return sealed;
}
