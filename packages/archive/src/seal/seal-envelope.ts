// Signs and verifies seals. A seal is a DSSE envelope (github.com/secure-systems-lab/dsse) of canonical JSON, with a second, small
// envelope in the field `head`, which DSSE readers ignore.

import { createHash, type KeyObject } from "node:crypto";

import { PermanentError } from "@actions-archive/core/errors";
import { dsse } from "@sigstore/core";
import { z } from "zod";

import { canonicalBytes } from "../store/canonical-bytes.ts";
import { isSignedBy, keyIdOf, type Signer } from "./seal-key.ts";
import { areInOrder, headOf, rootOf, Seal, SealHead } from "./seal.ts";

export const sealType = "application/vnd.actions-archive.seal+json";
export const sealHeadType = "application/vnd.actions-archive.seal-head+json";

/** Decoders accept base64 with nonzero padding bits, which no encoder produces; only the canonical form is accepted here. */
const base64 = z.base64().refine((text) => Buffer.from(text, "base64").toString("base64") === text, "is not canonical");

function envelopeOf<T extends string>(payloadType: T) {
  return z.strictObject({
    payloadType: z.literal(payloadType),
    payload: base64,
    signatures: z.array(z.strictObject({ keyid: z.string(), sig: base64 })).length(1),
  });
}

export const SealHeadEnvelope = envelopeOf(sealHeadType);
export type SealHeadEnvelope = z.output<typeof SealHeadEnvelope>;
const SealEnvelope = envelopeOf(sealType).extend({ head: SealHeadEnvelope });

export type VerifiedSeal = {
  readonly seal: Seal;
  /** Hash of the payload's bytes, lower-case hex: `previous_sha256` of the next seal. */
  readonly sha256: string;
  readonly head: SealHeadEnvelope;
};

/**
 * Signs a seal with the canonical bytes `payload`, and returns the bytes of its object. Deterministic with a key of this process, since
 * Ed25519 is deterministic.
 */
export async function signSeal(payload: Buffer, signer: Signer): Promise<Buffer> {
  const head = canonicalBytes(headOf(Seal.parse(JSON.parse(payload.toString("utf8"))), payload));
  return canonicalBytes({
    ...(await makeEnvelope(sealType, payload, signer)),
    head: await makeEnvelope(sealHeadType, head, signer),
  });
}

/**
 * Parses the seal in the bytes of the object `name` without checking its signatures: use it only if its hash is known from a later seal
 * or another trusted source. Checks the canonical form, the order and the root of the entries, and that the head is this seal's.
 * @throws PermanentError `store/corrupt` with `name` and the reason.
 */
export function parseSeal(object: Buffer, name: string): VerifiedSeal {
  return open(object, refusal(name)).sealed;
}

/** A parsed seal whose signatures are checked later, when its key is known. */
export type ReadSeal = VerifiedSeal & {
  /** Whether both signatures are this key's. */ readonly isSignedBy: (publicKey: KeyObject) => boolean;
};

/** Like `parseSeal`, for callers that learn from the seal which key to check. @throws PermanentError `store/corrupt` with `name`. */
export function readSeal(object: Buffer, name: string): ReadSeal {
  const { sealed, envelope } = open(object, refusal(name));
  return {
    ...sealed,
    isSignedBy: (publicKey) =>
      sealed.seal.key_id === keyIdOf(publicKey) && isSigned(envelope, publicKey) && isSigned(sealed.head, publicKey),
  };
}

/**
 * Like `parseSeal`, and checks that both signatures are `publicKey`'s. Does not check the seal's place in the chain or its objects.
 * @throws PermanentError `store/corrupt` with `name` and the reason.
 */
export function verifySeal(object: Buffer, publicKey: KeyObject, name: string): VerifiedSeal {
  const refuse = refusal(name);
  const { sealed, envelope } = open(object, refuse);
  if (!isSigned(envelope, publicKey)) throw refuse("is not signed by the expected key");
  if (sealed.seal.key_id !== keyIdOf(publicKey)) throw refuse("names a different key than the one that signed it");
  if (!isSigned(sealed.head, publicKey)) throw refuse("has a head that is not signed by the expected key");
  return sealed;
}

function open(object: Buffer, refuse: Refusal): { readonly sealed: VerifiedSeal; readonly envelope: Envelope } {
  const { head, ...envelope } = parseCanonical(SealEnvelope, object, refuse);
  const bytes = Buffer.from(envelope.payload, "base64");
  const seal = parseCanonical(Seal, bytes, refuse);
  if (!areInOrder(seal.entries)) throw refuse("has duplicate or unordered entries");
  if (seal.entries_root !== rootOf(seal.entries)) throw refuse("has a root that is not that of its entries");
  if (!canonicalBytes(headOf(seal, bytes)).equals(Buffer.from(head.payload, "base64")))
    throw refuse("has the head of another seal");
  return { sealed: { seal, sha256: createHash("sha256").update(bytes).digest("hex"), head }, envelope };
}

type Refusal = (what: string, cause?: unknown) => PermanentError;

function refusal(name: string): Refusal {
  return (what, cause) =>
    new PermanentError(
      "store/corrupt",
      `The seal ${name} ${what}: it was changed, or belongs to another archive. Keep it, and find out who wrote it.`,
      { cause },
    );
}

/** Verifies the envelope of a seal's head and parses the head. @throws PermanentError `store/corrupt` with `name`. */
export function verifySealHead(envelope: SealHeadEnvelope, publicKey: KeyObject, name: string): SealHead {
  const refuse = (what: string, cause?: unknown) =>
    new PermanentError("store/corrupt", `The head of a seal in ${name} ${what}: it was changed, or another key signed it.`, {
      cause,
    });
  if (!isSigned(envelope, publicKey)) throw refuse("is not signed by this key");
  return parseCanonical(SealHead, Buffer.from(envelope.payload, "base64"), refuse);
}

type Envelope = { payloadType: string; payload: string; signatures: { keyid: string; sig: string }[] };

async function makeEnvelope(payloadType: string, payload: Buffer, signer: Signer): Promise<Envelope> {
  const sig = await signer.sign(dsse.preAuthEncoding(payloadType, payload));
  return { payloadType, payload: payload.toString("base64"), signatures: [{ keyid: signer.keyId, sig: sig.toString("base64") }] };
}

function isSigned({ payloadType, payload, signatures }: Envelope, publicKey: KeyObject): boolean {
  const bytes = dsse.preAuthEncoding(payloadType, Buffer.from(payload, "base64"));
  return signatures.every(
    ({ keyid, sig }) => keyid === keyIdOf(publicKey) && isSignedBy(publicKey, bytes, Buffer.from(sig, "base64")),
  );
}

// Refuses non-canonical bytes: the same content in another form would have another hash.
function parseCanonical<S extends z.ZodType>(schema: S, bytes: Buffer, refuse: Refusal): z.output<S> {
  let value: z.output<S>;
  let canonical: Buffer;
  try {
    value = schema.parse(JSON.parse(bytes.toString("utf8")));
    canonical = canonicalBytes(value);
  } catch (error) {
    throw refuse("is not in the format of this version", error);
  }
  if (!canonical.equals(bytes)) throw refuse("is not in canonical form");
  return value;
}
