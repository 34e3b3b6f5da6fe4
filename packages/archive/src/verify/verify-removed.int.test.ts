// Missing objects, and those that a tombstone excuses.

import { readFile, rm } from "node:fs/promises";

import { expect, test } from "vitest";

import { withMethods } from "../../test-support/changed-store.ts";
import { firstRecordOf, type SealedStore } from "../../test-support/sealed-store.ts";
import { archivedLogOf, openFolder, pathOf, signer, stranger, tombstoneOf, verify } from "../../test-support/verify-folder.ts";

/** A store in which, after the walk of the chain, `seal` is made and the log under `key` is removed. */
function withRemoval(sealed: SealedStore, key: string, seal: () => Promise<unknown>) {
  let isWalked = false;
  const store = withMethods(sealed.store, {
    async listVersions(prefix) {
      if (!isWalked) {
        isWalked = true;
        await seal();
        await rm(pathOf(sealed, key));
      }
      return sealed.store.listVersions(prefix);
    },
  });
  return { store, isWalked: () => isWalked };
}

test("a tombstone excuses what was sealed before it, and not what is sealed again after it", async () => {
  await using sealed = await openFolder();
  const log = await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  const tombstones = [tombstoneOf(sealed, log)];
  await sealed.seal(signer, { tombstones });
  expect(await verify(sealed)).toMatchObject({ tampering: [], notices: [`tombstoned ${log}`], totals: { removed: 0 } });
  await rm(pathOf(sealed, log));
  // As left by an interrupted removal.
  const notices = [expect.stringMatching(/^foreign logs\/.*\.meta$/)];
  expect(await verify(sealed)).toMatchObject({ tampering: [], notices, totals: { removed: 1 } });
  await sealed.seal(signer, { entries: [sealed.entryOf(log)] });
  expect(await verify(sealed)).toMatchObject({ tampering: [`missing ${log}`] });
});

test("a log that is removed during the verification is excused by a seal made meanwhile", async () => {
  await using sealed = await openFolder();
  const log = await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  const tombstones = [tombstoneOf(sealed, log)];
  const { store, isWalked } = withRemoval(sealed, log, () => sealed.seal(signer, { tombstones }));
  expect(await verify({ ...sealed, store })).toMatchObject({
    tampering: [],
    totals: { removed: 1 },
    chain: { head: { sequence: 1 } },
  });
  expect(isWalked()).toBe(true);
});

test("a log that is removed during the verification is not excused by a newest seal that another key signed", async () => {
  await using sealed = await openFolder();
  const log = await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  const tombstones = [tombstoneOf(sealed, log)];
  // It names the expected key.
  const { store } = withRemoval(sealed, log, () => sealed.seal({ ...stranger, keyId: signer.keyId }, { tombstones }));
  expect(await verify({ ...sealed, store })).toMatchObject({ tampering: [`missing ${log}`], totals: { removed: 0 } });
});

test("a tombstone of other bytes excuses nothing", async () => {
  await using sealed = await openFolder();
  const log = await sealed.addJob(10, "one\n");
  await sealed.seal(signer);
  await sealed.seal(signer, { tombstones: [{ ...tombstoneOf(sealed, log), sha256: "0".repeat(64) }] });
  await rm(pathOf(sealed, log));
  expect(await verify(sealed)).toMatchObject({ tampering: [`missing ${log}`] });
});

test("a log that was removed while it waited for its seal may be sealed and gone", async () => {
  await using sealed = await openFolder();
  const log = await sealed.addJob(10, "one\n");
  const bytes = await readFile(pathOf(sealed, log));
  const { stored_sha256: sha256 } = archivedLogOf(await readFile(pathOf(sealed, firstRecordOf(10))));
  const entry = { key: log, version_id: null, size: bytes.length, sha256 };
  const decided = {
    job_id: 10,
    repository_id: 1,
    cause: "erase" as const,
    reason: "a secret",
    decided_at: "2026-05-02T10:00:00.000Z",
  };
  await sealed.seal(signer, { entries: [], tombstones: [{ ...entry, ...decided }] });
  await rm(pathOf(sealed, log));
  await sealed.seal(signer, { entries: [entry] });
  const { tampering } = await verify(sealed);
  expect(tampering).toEqual([]);
});
