import { createHash } from "node:crypto";

import fc from "fast-check";
import { expect, test } from "vitest";

import { newSigner, sampleEntries, sampleSeal } from "../../test-support/seal-samples.ts";
import { canonicalBytes } from "../store/canonical-bytes.ts";
import { signSeal, verifySeal } from "./seal-envelope.ts";
import { makeSeal } from "./seal.ts";

const signer = newSigner();
const seal = sampleSeal(signer, sampleEntries(5));
const payload = canonicalBytes(seal);
const object = await signSeal(payload, signer);
const check = (bytes: Buffer) => verifySeal(bytes, signer.publicKey, "seals/000000000001.json");

test("a signed seal reads back as it was, with the hash of its payload", () => {
  const { seal: read, sha256 } = check(object);
  expect(read).toEqual(seal);
  expect(sha256).toBe(createHash("sha256").update(payload).digest("hex"));
});

test("a seal signed twice has the same bytes", async () => {
  expect(await signSeal(payload, signer)).toEqual(object);
});

test("any changed bit of a seal is found, and its key is named", () => {
  fc.assert(
    fc.property(fc.nat(object.length - 1), fc.nat(7), (at, bit) => {
      const changed = Buffer.from(object);
      changed[at] = (changed[at] ?? 0) ^ (1 << bit);
      expect(() => check(changed)).toThrow(/seals\/000000000001\.json/);
    }),
    { numRuns: 1000 },
  );
});

test("any other bytes under a seal's key are refused as corrupt", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        expect(() => check(Buffer.from(bytes))).toThrow(expect.objectContaining({ code: "store/corrupt" }));
      },
    ),
  );
});

test("a seal by another key is refused", async () => {
  const other = newSigner();
  const foreign = await signSeal(canonicalBytes(sampleSeal(other, [])), other);
  expect(() => check(foreign)).toThrow("is not signed by the expected key");
});

test("a seal signed by this key is refused when it names another key, is out of order, or has a wrong root or head", async () => {
  const sign = (value: unknown) => signSeal(canonicalBytes(value), signer);
  const [first, ...rest] = seal.entries;
  const misnamed = await sign({ ...seal, key_id: "0".repeat(64) });
  const disordered = await sign({ ...seal, entries: [...rest, first] });
  const twice = await sign({ ...seal, entries: [first, first, ...rest] });
  const shorter = await sign({ ...seal, entries: rest });
  expect(() => check(misnamed)).toThrow("names a different key");
  expect(() => check(disordered)).toThrow("duplicate or unordered");
  expect(() => check(twice)).toThrow("duplicate or unordered");
  expect(() => check(shorter)).toThrow("root that is not that of its entries");
  const spliced = { ...JSON.parse(object.toString()), head: JSON.parse(shorter.toString()).head };
  expect(() => check(canonicalBytes(spliced))).toThrow("head of another seal");
});

test("entries are sorted, whatever their order before", () => {
  fc.assert(
    fc.property(fc.shuffledSubarray(seal.entries, { minLength: seal.entries.length }), (entries) => {
      expect(canonicalBytes(makeSeal({ ...withoutDerived(), entries }))).toEqual(payload);
    }),
  );
});

function withoutDerived() {
  const { schema_version: _version, entries_root: _root, ...rest } = seal;
  return rest;
}
