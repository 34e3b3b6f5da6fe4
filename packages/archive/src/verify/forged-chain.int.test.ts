// Forged chains: an attacker who can write the store can write seals. One wrong signature, hash or key exposes each of them.

import { createHash, generateKeyPairSync } from "node:crypto";
import { readFile, rm } from "node:fs/promises";

import { sealKey } from "@actions-archive/core/object-key";
import { expect, test } from "vitest";

import type { SealedStore } from "../../test-support/sealed-store.ts";
import { next, openFolder, overwrite, pathOf, signer, stranger, verify } from "../../test-support/verify-folder.ts";
import { signSeal } from "../seal/seal-envelope.ts";
import { canonicalBytes } from "../store/canonical-bytes.ts";
import { readLaterSeals } from "./verify-chain.ts";

type Signed = { payload: string; signatures: { keyid: string; sig: string }[] };
type Envelope = Signed & { head: Signed };

const der = (key: typeof next.publicKey) => key.export({ type: "spki", format: "der" });
const announced = { key_id: next.keyId, public_key: der(next.publicKey).toString("base64") };
const [one, two] = [sealKey(1), sealKey(2)];
const sequencesOf = ({ chain }: Awaited<ReturnType<typeof verify>>) => chain.links.map(({ sequence }) => sequence);

/** Replaces these seals with those of another archive, signed by an untrusted key. */
async function forge(sealed: SealedStore, sequences: readonly number[]): Promise<void> {
  await using other = await openFolder();
  for (let sequence = 1; sequence <= Math.max(...sequences); sequence += 1) await other.seal(stranger);
  for (const sequence of sequences) await overwrite(sealed, sealKey(sequence), await readFile(pathOf(other, sealKey(sequence))));
}

test.each(["envelope", "head"] as const)(
  "a seal whose %s another key signed under the right key's id is invalid",
  async (part) => {
    await using sealed = await openFolder();
    await sealed.seal(signer);
    await sealed.seal(signer);
    const whole = JSON.parse((await readFile(pathOf(sealed, two))).toString()) as Envelope;
    const foreign = JSON.parse((await signSeal(Buffer.from(whole.payload, "base64"), stranger)).toString()) as Envelope;
    const [signed, by] = part === "head" ? [whole.head, foreign.head] : [whole, foreign];
    signed.signatures = [{ keyid: signer.keyId, sig: by.signatures[0]?.sig ?? "" }];
    await overwrite(sealed, two, canonicalBytes(whole));
    const result = await verify(sealed);
    expect(result.tampering).toEqual([`invalid ${two}`]);
    expect(sequencesOf(result)).toEqual([1]);
  },
);

test("a newest seal that names the right key and that another key signed is invalid", async () => {
  await using sealed = await openFolder();
  await sealed.seal(signer);
  await sealed.seal(stranger, { key_id: signer.keyId });
  const result = await verify(sealed);
  expect(result.tampering).toEqual([`invalid ${two}`]);
  expect(sequencesOf(result)).toEqual([1]);
});

const ed448 = generateKeyPairSync("ed448").publicKey;
test.each([
  { what: "has another id", next_key: { ...announced, key_id: stranger.keyId } },
  {
    what: "is not Ed25519",
    next_key: { key_id: createHash("sha256").update(der(ed448)).digest("hex"), public_key: der(ed448).toString("base64") },
  },
])("a seal that announces a key that $what is invalid", async ({ next_key }) => {
  await using sealed = await openFolder();
  await sealed.seal(signer, { next_key });
  expect(await verify(sealed)).toMatchObject({ tampering: expect.arrayContaining([`invalid ${one}`]), chain: { links: [] } });
});

/** Three seals. A verifier that trusts only the last key must follow the first two by their hashes. */
async function openRotated() {
  const sealed = await openFolder();
  await sealed.seal(signer);
  await sealed.seal(signer, { next_key: announced });
  await sealed.seal(next);
  return sealed;
}

const onlyNext = { keys: [next.publicKey] };

test("a forged seal under an unknown key is invalid when the next one names another hash", async () => {
  await using sealed = await openRotated();
  await forge(sealed, [1]);
  const result = await verify(sealed, onlyNext);
  expect(result.tampering).toEqual([`invalid ${one}`]);
  expect(sequencesOf(result)).toEqual([2, 3]);
  expect(result.chain.isDamaged).toBe(true);
});

test("a forged seal is no evidence for the forged seal before it", async () => {
  await using sealed = await openRotated();
  await forge(sealed, [1, 2]);
  const result = await verify(sealed, onlyNext);
  expect(result.tampering).toEqual([`invalid ${two}`]);
  expect(sequencesOf(result)).toEqual([3]);
  expect(result.chain.isDamaged).toBe(true);
});

test("a seal under an unknown key before a missing one is not trusted, and not reported as invalid", async () => {
  await using sealed = await openRotated();
  await rm(pathOf(sealed, two));
  const result = await verify(sealed, onlyNext);
  expect(result.tampering).toEqual([`missing ${two}`]);
  expect(sequencesOf(result)).toEqual([3]);
});

test("after a missing seal, which may have announced another key, the next seal of any given key is trusted", async () => {
  await using sealed = await openRotated();
  await rm(pathOf(sealed, two));
  const result = await verify(sealed, { keys: [signer.publicKey, next.publicKey] });
  expect(result.tampering).toEqual([`missing ${two}`]);
  expect(sequencesOf(result)).toEqual([1, 3]);
});

test("a first seal that names a seal before it breaks the chain", async () => {
  await using sealed = await openFolder();
  await sealed.seal(signer, { previous_sha256: "a".repeat(64) });
  expect(await verify(sealed)).toMatchObject({ tampering: [`broken chain ${one}`] });
});

test.each([{ host: "ghe.example.com" }, { archive_id: "6f0c8fd4-6bd5-4f4c-9a52-0a8a3a5f1f0e" }])(
  "a seal of another archive than the newest is invalid, though the right key signed both: %j",
  async (changes) => {
    await using sealed = await openFolder();
    await sealed.seal(signer, changes);
    await sealed.seal(signer);
    expect(await verify(sealed)).toMatchObject({ tampering: [`invalid ${one}`] });
  },
);

test("a chain without the expected head is reported", async () => {
  await using sealed = await openFolder();
  const sha256 = await sealed.seal(signer);
  expect(await verify(sealed, { expectedHead: { sequence: 1, sha256 } })).toMatchObject({ tampering: [] });
  const other = { sequence: 1, sha256: "f".repeat(64) };
  expect(await verify(sealed, { expectedHead: other })).toMatchObject({ tampering: [`invalid ${one}`] });
  expect(await verify(sealed, { expectedHead: { sequence: 2, sha256 } })).toMatchObject({ tampering: [`missing ${two}`] });
});

test("of later seals, only those that follow and are signed by the expected key are read", async () => {
  const laterThanFirst = async (seal: (sealed: SealedStore) => Promise<unknown>) => {
    await using sealed = await openFolder();
    await sealed.seal(signer, { next_key: announced });
    const { chain } = await verify(sealed);
    await seal(sealed);
    return (await Array.fromAsync(readLaterSeals(sealed.store, chain))).map(({ sequence }) => sequence);
  };
  const wrong = "a".repeat(64);
  expect(await laterThanFirst((sealed) => sealed.seal(next))).toEqual([2]);
  expect(await laterThanFirst(async (sealed) => [await sealed.seal(next), await sealed.seal(next)])).toEqual([2, 3]);
  expect(await laterThanFirst((sealed) => sealed.seal(next, { previous_sha256: wrong }))).toEqual([]);
  expect(await laterThanFirst((sealed) => sealed.seal(next, { sequence: 3 }))).toEqual([]);
  expect(await laterThanFirst((sealed) => sealed.seal(stranger, { key_id: next.keyId }))).toEqual([]);
  expect(await laterThanFirst((sealed) => sealed.seal(signer))).toEqual([]);
});
