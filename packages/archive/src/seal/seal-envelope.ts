// A seal as it lies in the store: a DSSE envelope (github.com/secure-systems-lab/dsse) around canonical JSON, with a second, small
// one beside it under `head`. Who reads DSSE passes over fields that it does not know.

import { createHash, type KeyObject } from "node:crypto";

import { PermanentError } from "@actions-archive/core/errors";
import { dsse } from "@sigstore/core";
import { z } from "zod";

import { canonicalBytes } from "../store/canonical-bytes.ts";
import { isSignedBy, keyIdOf, type Signer } from "./seal-key.ts";
import { areInOrder, headOf, rootOf, Seal, SealHead } from "./seal.ts";

export const sealType = "application/vnd.actions-archive.seal+json";
export const sealHeadType = "application/vnd.actions-archive.seal-head+json";

/** Decoders take some texts that no encoder makes, with other last bits; here one content has one text. */
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
  /** Of the payload's bytes, lower-case hex: what the next seal names as `previous_sha256`. */
  readonly sha256: string;
  readonly head: SealHeadEnvelope;
};

/**
 * The object of a seal whose canonical bytes are `payload`. The same bytes each time with a key of this process: Ed25519 is
 * deterministic.
 */
export async function signSeal(payload: Buffer, signer: Signer): Promise<Buffer> {
  const head = canonicalBytes(headOf(Seal.parse(JSON.parse(payload.toString("utf8"))), payload));
  return canonicalBytes({ ...(await sealUp(sealType, payload, signer)), head: await sealUp(sealHeadType, head, signer) });
}

/**
 * The seal in the bytes of the object `name`, whoever signed it: it counts only where a later seal, or somebody who knows, names its
 * hash. Checked here: the form to the last byte, the order and the root of the entries, and that the head is this seal's.
 * @throws PermanentError `store/corrupt`, which names `name` and what is wrong.
 */
export function parseSeal(object: Buffer, name: string): VerifiedSeal {
  return open(object, refusal(name)).sealed;
}

/** A seal of which nobody knows yet which key is due. */
export type ReadSeal = VerifiedSeal & {
  /** Both its signatures are this key's. */ readonly isSignedBy: (publicKey: KeyObject) => boolean;
};

/** As `parseSeal`, for who finds out from the seal which key to hold it against. @throws PermanentError `store/corrupt`, which names `name`. */
export function readSeal(object: Buffer, name: string): ReadSeal {
  const { sealed, envelope } = open(object, refusal(name));
  return {
    ...sealed,
    isSignedBy: (publicKey) =>
      sealed.seal.key_id === keyIdOf(publicKey) && isSigned(envelope, publicKey) && isSigned(sealed.head, publicKey),
  };
}

/**
 * As `parseSeal`, and both signatures are `publicKey`'s. Not checked: its place in the chain, and that the objects are there.
 * @throws PermanentError `store/corrupt`, which names `name` and what is wrong.
 */
export function verifySeal(object: Buffer, publicKey: KeyObject, name: string): VerifiedSeal {
  const refuse = refusal(name);
  const { sealed, envelope } = open(object, refuse);
  if (!isSigned(envelope, publicKey)) throw refuse("is not signed by the key that is due");
  if (sealed.seal.key_id !== keyIdOf(publicKey)) throw refuse("names another key than the one that signed it");
  if (!isSigned(sealed.head, publicKey)) throw refuse("has a head that the key that is due has not signed");
  return sealed;
}

function open(object: Buffer, refuse: Refusal): { readonly sealed: VerifiedSeal; readonly envelope: Envelope } {
  const { head, ...envelope } = parseCanonical(SealEnvelope, object, refuse);
  const bytes = Buffer.from(envelope.payload, "base64");
  const seal = parseCanonical(Seal, bytes, refuse);
  if (!areInOrder(seal.entries)) throw refuse("has entries that are twice there or out of order");
  if (seal.entries_root !== rootOf(seal.entries)) throw refuse("has another root than its entries");
  if (!canonicalBytes(headOf(seal, bytes)).equals(Buffer.from(head.payload, "base64"))) throw refuse("has another seal's head");
  return { sealed: { seal, sha256: createHash("sha256").update(bytes).digest("hex"), head }, envelope };
}

type Refusal = (what: string, cause?: unknown) => PermanentError;

function refusal(name: string): Refusal {
  return (what, cause) =>
    new PermanentError(
      "store/corrupt",
      `The seal ${name} ${what}: it was changed, or it is not of this archive. Keep it, and find out who wrote it.`,
      { cause },
    );
}

/** The head in its own envelope. @throws PermanentError `store/corrupt`, which names `name`. */
export function verifySealHead(envelope: SealHeadEnvelope, publicKey: KeyObject, name: string): SealHead {
  const refuse = (what: string, cause?: unknown) =>
    new PermanentError("store/corrupt", `The head of a seal in ${name} ${what}: it was changed, or another key signed it.`, {
      cause,
    });
  if (!isSigned(envelope, publicKey)) throw refuse("is not signed by this key");
  return parseCanonical(SealHead, Buffer.from(envelope.payload, "base64"), refuse);
}

type Envelope = { payloadType: string; payload: string; signatures: { keyid: string; sig: string }[] };

async function sealUp(payloadType: string, payload: Buffer, signer: Signer): Promise<Envelope> {
  const sig = await signer.sign(dsse.preAuthEncoding(payloadType, payload));
  return { payloadType, payload: payload.toString("base64"), signatures: [{ keyid: signer.keyId, sig: sig.toString("base64") }] };
}

function isSigned({ payloadType, payload, signatures }: Envelope, publicKey: KeyObject): boolean {
  const bytes = dsse.preAuthEncoding(payloadType, Buffer.from(payload, "base64"));
  return signatures.every(
    ({ keyid, sig }) => keyid === keyIdOf(publicKey) && isSignedBy(publicKey, bytes, Buffer.from(sig, "base64")),
  );
}

// One content has one form: bytes that say the same in another way would have another hash, and are refused.
function parseCanonical<S extends z.ZodType>(schema: S, bytes: Buffer, refuse: Refusal): z.output<S> {
  let value: z.output<S>;
  let canonical: Buffer;
  try {
    value = schema.parse(JSON.parse(bytes.toString("utf8")));
    canonical = canonicalBytes(value);
  } catch (error) {
    throw refuse("is not one that this version wrote", error);
  }
  if (!canonical.equals(bytes)) throw refuse("is not in canonical form");
  return value;
}
