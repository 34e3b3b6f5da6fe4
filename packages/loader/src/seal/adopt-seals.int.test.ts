// Seals of the store that a database adopts or refuses. An attacker who can write to the store cannot sign a seal.

import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { makeSeal, type Seal } from "@actions-archive/archive/seal/seal";
import { parseSeal, signSeal } from "@actions-archive/archive/seal/seal-envelope";
import { canonicalBytes } from "@actions-archive/archive/store/canonical-bytes";
import { logKey, sealKey } from "@actions-archive/core/object-key";
import { jobId, type Json, repositoryId, runId } from "@actions-archive/database/test-support/samples";
import { expect, test } from "vitest";

import { newSigner, publicKey, seal, signer } from "../../test-support/filled-store.ts";
import { archived, type Harness, host, openHarness } from "../../test-support/harness.ts";
import { removeTombstoned } from "../retention/apply-retention.ts";
import { loadRecords } from "../rows/load-records.ts";
import { adoptSeals } from "./adopt-seals.ts";

const next = sealKey(2);

/** A sealed archive whose store has `changes` of the first seal as its second. */
async function openWithSecondSeal(changes: (first: { sha256: string }) => Partial<Seal>, signedBy = signer) {
  const harness = await openHarness();
  await seal(harness);
  const first = parseSeal((await harness.loader.store.read(sealKey(1))) ?? Buffer.alloc(0), "seal 1");
  const second = makeSeal({ ...first.seal, sequence: 2, previous_sha256: first.sha256, ...changes(first) });
  const path = join(fileURLToPath(harness.loader.store.url), next);
  await writeFile(path, await signSeal(canonicalBytes(second), signedBy));
  return { harness, archive: { ...harness.loader, archiveId: first.seal.archive_id, publicKey } };
}

/** A job whose log is archived. @returns the log's key */
async function addArchivedLog(harness: Harness): Promise<string> {
  const body = Buffer.from("a log");
  const sha256 = createHash("sha256").update(body).digest("hex");
  const key = logKey(host, { repository_id: repositoryId, run_id: runId, job_id: jobId });
  await harness.loader.store.put(key, body, { sha256, contentType: "application/zstd", metadata: { "raw-bytes": "5" } });
  await harness.owe({ id: jobId });
  const log = { ...archived(jobId), stored_bytes: body.length, stored_sha256: sha256 } as ReturnType<typeof archived>;
  const record = await harness.record(jobId, log);
  await loadRecords(harness.loader, [{ job_id: jobId, key: record }]);
  return key;
}

const adopted = ({ ask }: Harness) => ask("select sequence::integer from archive.seals order by 1");

test("the next seal of the chain is adopted once", async () => {
  const { harness, archive } = await openWithSecondSeal(() => ({}));
  await using _ = harness;
  expect(await adoptSeals(archive)).toBe(1);
  expect(await adopted(harness)).toEqual([{ sequence: 1 }, { sequence: 2 }]);
  expect(await adoptSeals(archive)).toBe(0);
});

test("the newest seal is refused when it names the right key and another key signed it", async () => {
  const { harness, archive } = await openWithSecondSeal(() => ({}), newSigner());
  await using _ = harness;
  await expect(adoptSeals(archive)).rejects.toThrow(`The seal ${next} in ${archive.store.url} is not signed by the expected key`);
  expect(await adopted(harness)).toEqual([{ sequence: 1 }]);
  // A database without seals refuses it, too.
  await harness.ask("truncate archive.objects, archive.seals");
  await expect(adoptSeals(archive)).rejects.toThrow("is not signed by the expected key");
  expect(await adopted(harness)).toEqual([]);
});

test.each(["the key's own id", "a signature of the payload alone"])(
  "no log goes for a tombstone of a newest seal that another key signed: %s",
  async (forgery) => {
    const harness = await openHarness();
    await using _ = harness;
    const log = await addArchivedLog(harness);
    await seal(harness);
    const first = parseSeal((await harness.loader.store.read(sealKey(1))) ?? Buffer.alloc(0), "seal 1");
    const entry = first.seal.entries.find(({ key }) => key === log);
    if (entry === undefined) throw new Error("the log was sealed");
    const erased = { job_id: jobId, repository_id: repositoryId, cause: "erase" as const, reason: "x" };
    const tombstones = [{ ...entry, ...erased, decided_at: first.seal.sealed_at }];
    const second = makeSeal({ ...first.seal, sequence: 2, previous_sha256: first.sha256, entries: [], tombstones });
    const forged = JSON.parse(
      (await signSeal(canonicalBytes(second), { ...newSigner(), keyId: signer.keyId })).toString(),
    ) as Json;
    const genuine = JSON.parse((await signSeal(canonicalBytes(second), signer)).toString()) as Json;
    const bytes = canonicalBytes(forgery.startsWith("the key") ? forged : { ...genuine, head: forged["head"] });
    await writeFile(join(fileURLToPath(harness.loader.store.url), next), bytes);
    const archive = { ...harness.loader, archiveId: first.seal.archive_id, publicKey };
    await expect(adoptSeals(archive)).rejects.toThrow("not signed");
    expect(await removeTombstoned(harness.loader)).toBe(0);
    expect(await harness.loader.store.head(log)).toBeDefined();
    expect(await harness.ask("select log_state from audit.jobs")).toEqual([{ log_state: "archived" }]);
  },
);

test.for<{ name: string; changes: Partial<Seal> }>([
  { name: "another archive", changes: { archive_id: "6f0c8fd4-6bd5-4f4c-9a52-0a8a3a5f1f0e" } },
  { name: "another host", changes: { host: "ghe.example.com" } },
  { name: "another number", changes: { sequence: 3 } },
])("a seal of $name is refused, though the right key signed it", async ({ changes }) => {
  const { harness, archive } = await openWithSecondSeal(() => changes);
  await using _ = harness;
  const { sequence = 2, archive_id = archive.archiveId, host: of = host } = changes;
  const { store } = archive;
  const says = `The seal ${next} in ${store.url} says that it is seal ${sequence} of archive ${archive_id} of ${of}`;
  await expect(adoptSeals(archive)).rejects.toThrow(says);
  expect(await adopted(harness)).toEqual([{ sequence: 1 }]);
});

test("a chain that does not follow the database's newest seal is refused before any seal of it is adopted", async () => {
  const { harness, archive } = await openWithSecondSeal(() => ({ previous_sha256: "a".repeat(64) }));
  await using _ = harness;
  await expect(adoptSeals(archive)).rejects.toThrow(
    `The seal ${next} in ${archive.store.url} does not follow seal 1 of the database`,
  );
  expect(await adopted(harness)).toEqual([{ sequence: 1 }]);
});
