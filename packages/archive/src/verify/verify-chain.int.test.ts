// Verification of the chain of seals: its keys, numbers, times, and reported damage.

import { readFile, rm } from "node:fs/promises";

import { conflictingLogKey, sealKey } from "@actions-archive/core/object-key";
import { expect, test } from "vitest";

import { firstRecordOf, host, put, refOf } from "../../test-support/sealed-store.ts";
import {
  archivedLogOf,
  next,
  openFolder,
  overwrite,
  pathOf,
  signer,
  stranger,
  verify,
} from "../../test-support/verify-folder.ts";

test("damage that a seal admits is a notice; without a repair it is also tampering", async () => {
  await using sealed = await openFolder();
  const log = await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  const intact = await readFile(pathOf(sealed, log));
  await overwrite(sealed, log, Buffer.from("damaged"));
  const { raw_sha256 } = archivedLogOf(await readFile(pathOf(sealed, firstRecordOf(10))));
  const repair = conflictingLogKey(host, refOf(10), raw_sha256);
  const damage = { key: log, finding: "damaged" as const, found_at: "2026-05-02T10:00:00.000Z", repaired_by: null };
  await sealed.seal(signer, { damages: [damage] });
  expect(await verify(sealed)).toMatchObject({ tampering: [`invalid ${log}`], notices: [`damaged ${log}`] });
  // Its size and metadata may be right, so a log that was reported as damaged is always read.
  const flipped = Buffer.from(intact);
  flipped[12] = (flipped[12] ?? 0) ^ 1;
  await overwrite(sealed, log, flipped);
  expect(await verify(sealed, { isDeep: () => false })).toMatchObject({ tampering: [`invalid ${log}`] });
  await overwrite(sealed, log, intact);
  expect(await verify(sealed, { isDeep: () => false })).toMatchObject({ tampering: [] });
  await overwrite(sealed, log, Buffer.from("damaged"));
  await sealed.addJob(10, "one\n");
  await sealed.seal(signer, { damages: [{ ...damage, repaired_by: repair }] });
  expect(await verify(sealed)).toMatchObject({ tampering: [], notices: [`damaged ${log}`] });
  await rm(pathOf(sealed, repair));
  const { tampering } = await verify(sealed);
  expect(tampering.toSorted()).toEqual([`invalid ${log}`, `missing ${repair}`]);
});

test("an announced key signs every seal after, and no other key does", async () => {
  await using sealed = await openFolder();
  const next_key = { key_id: next.keyId, public_key: next.publicKey.export({ type: "spki", format: "der" }).toString("base64") };
  await sealed.seal(signer);
  await sealed.seal(signer, { next_key });
  await sealed.seal(next);
  expect(await verify(sealed)).toMatchObject({
    tampering: [],
    chain: { links: [{ isSigned: true }, { isSigned: true }, { isSigned: true }] },
  });
  const late = await verify(sealed, { keys: [next.publicKey] });
  expect(late).toMatchObject({ tampering: [], chain: { links: [{ isSigned: false }, { isSigned: false }, { isSigned: true }] } });
  expect(await verify(sealed, { keys: [stranger.publicKey] })).toMatchObject({ tampering: [`invalid ${sealKey(3)}`] });
  expect(await verify(sealed, { keys: [stranger.publicKey, next.publicKey] })).toMatchObject({ tampering: [] });
  await sealed.seal(signer);
  expect(await verify(sealed)).toMatchObject({ tampering: [`invalid ${sealKey(4)}`] });
});

test("a forged middle of the chain is found by both its neighbours' evidence", async () => {
  await using sealed = await openFolder();
  for (let count = 0; count < 5; count += 1) await sealed.seal(signer);
  await using forged = await openFolder();
  for (let count = 0; count < 3; count += 1) await forged.seal(signer);
  // Signed by the right key, of another archive.
  await overwrite(sealed, sealKey(3), await readFile(pathOf(forged, sealKey(3))));
  const { tampering } = await verify(sealed);
  expect(tampering).toContain(`invalid ${sealKey(3)}`);
  expect(tampering).toContain(`broken chain ${sealKey(4)}`);
  await rm(pathOf(sealed, sealKey(3)));
  expect(await verify(sealed)).toMatchObject({ tampering: [`missing ${sealKey(3)}`], chain: { isDamaged: true } });
});

test("a seal with an invented number does not cause a walk up to it", async () => {
  await using sealed = await openFolder();
  await sealed.seal(signer);
  await put(sealed.store, sealKey(999_999_999_999), await readFile(pathOf(sealed, sealKey(1))));
  const { tampering } = await verify(sealed);
  expect(tampering).toHaveLength(101);
  expect(tampering).toContain(`broken chain ${sealKey(999_999_999_999)}`);
});

test("a seal of another host is tampering until a later seal corrects it, and a notice from then on", async () => {
  await using sealed = await openFolder();
  await sealed.seal(signer);
  const wrong = await sealed.seal(signer, { host: "ghes.example.com" });
  await sealed.seal(signer);
  expect(await verify(sealed)).toMatchObject({ tampering: [`invalid ${sealKey(2)}`], notices: [] });
  const correction = {
    sequence: 2,
    sha256: wrong,
    host: "ghes.example.com",
    correct_host: "github.com",
    reason: "a shell of the other host",
  };
  await sealed.seal(signer, { corrections: [correction] });
  const { tampering, notices, findings } = await verify(sealed);
  expect({ tampering, notices }).toEqual({ tampering: [], notices: [`corrected ${sealKey(2)}`] });
  expect(findings.notices[0]?.detail).toMatch(/^names the host ghes\.example\.com; .*4\.json .*a shell of the other host$/);
});

test.each([
  { what: "another seal", changes: { sequence: 1 }, tampering: [`invalid ${sealKey(3)}`, `invalid ${sealKey(2)}`] },
  { what: "another hash", changes: { sha256: "7".repeat(64) }, tampering: [`invalid ${sealKey(3)}`, `invalid ${sealKey(2)}`] },
  { what: "another host", changes: { host: "other.example.com" }, tampering: [`invalid ${sealKey(3)}`, `invalid ${sealKey(2)}`] },
  {
    what: "a host that is not the archive's",
    changes: { correct_host: "ghes.example.com" },
    tampering: [`invalid ${sealKey(3)}`, `invalid ${sealKey(2)}`],
  },
  { what: "a later seal", changes: { sequence: 3 }, tampering: [`invalid ${sealKey(2)}`, `invalid ${sealKey(3)}`] },
])("a correction that names $what explains nothing, and is tampering itself", async ({ changes, tampering: expected }) => {
  await using sealed = await openFolder();
  await sealed.seal(signer);
  const sha256 = await sealed.seal(signer, { host: "ghes.example.com" });
  const correction = { sequence: 2, sha256, host: "ghes.example.com", correct_host: "github.com", reason: "why" };
  await sealed.seal(signer, { corrections: [{ ...correction, ...changes }] });
  const { tampering, notices } = await verify(sealed);
  expect({ tampering: tampering.toSorted(), notices }).toEqual({ tampering: expected.toSorted(), notices: [] });
});

test("a clock that went back is a notice, not tampering", async () => {
  await using sealed = await openFolder();
  await sealed.seal(signer);
  await sealed.seal(signer, { sealed_at: "2020-01-01T00:00:00.000Z" });
  expect(await verify(sealed)).toMatchObject({ tampering: [], notices: [`clock ${sealKey(2)}`] });
});
