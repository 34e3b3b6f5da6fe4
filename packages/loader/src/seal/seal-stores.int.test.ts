// Sealing on every kind of store: an unreliable server, and a real one with a plain and a locked bucket.

import { randomBytes } from "node:crypto";

import type { StoreSettings } from "@actions-archive/archive/open-store";
import { newSigner } from "@actions-archive/archive/test-support/seal-samples";
import { verifyArchive } from "@actions-archive/archive/verify/verify-archive";
import { jobId } from "@actions-archive/database/test-support/samples";
import { realS3, startTestS3, type TestS3 } from "@actions-archive/testkit/test-s3";
import { expect, test, vi } from "vitest";

import { absent, type Harness, openHarness } from "../../test-support/harness.ts";
import { loadRecords } from "../rows/load-records.ts";
import { adoptSeals } from "./adopt-seals.ts";
import { sealArchive, type Sealer } from "./seal-archive.ts";

const signer = newSigner();
const [plain, locked] = [await realS3(), await realS3({ isLocked: true })];

function settingsOf(s3: TestS3, more: Partial<StoreSettings> = {}): StoreSettings {
  vi.stubEnv("AWS_ACCESS_KEY_ID", s3.accessKeyId);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", s3.secretAccessKey);
  const ARCHIVE_URL = new URL(`s3://${s3.bucket}/${s3.prefix}/${randomBytes(4).toString("hex")}`);
  return { ARCHIVE_URL, S3_ENDPOINT: new URL(s3.endpoint), S3_FORCE_PATH_STYLE: true, ...more };
}

async function sealerOf(harness: Harness): Promise<Sealer> {
  const [identity] = await harness.ask("select archive_id from archive.identity");
  return { ...harness.loader, archiveId: String(identity?.["archive_id"]), signer };
}

/** Three loaders seal concurrently in rounds; then the database is lost, and the chain continues. */
async function sealAndLose(archive: StoreSettings): Promise<void> {
  await using harness = await openHarness({ archive });
  const sealer = await sealerOf(harness);
  const addJob = async (id: number) => {
    await harness.owe({ id });
    await loadRecords(harness.loader, [{ job_id: id, key: await harness.record(id, absent) }]);
  };
  for (let id = jobId; id < jobId + 4; id += 1) {
    await addJob(id);
    await Promise.all([1, 2, 3].map(() => sealArchive(sealer)));
  }
  const before = await harness.ask("select object_key, sha256, sealed_in from archive.objects order by 1");
  const [seals] = await harness.ask("select count(*)::integer as count from archive.seals");
  await harness.ask("truncate archive.objects, archive.seals");
  expect(await adoptSeals({ ...sealer, publicKey: signer.publicKey })).toBe(seals?.["count"]);
  expect(await harness.ask("select object_key, sha256, sealed_in from archive.objects order by 1")).toEqual(before);
  await addJob(jobId + 4);
  await sealArchive(sealer);
  const { findings, chain } = await verifyArchive(harness.loader.store, {
    keys: [signer.publicKey],
    isDeep: () => true,
    sealIntervalSeconds: 3600,
  });
  expect(findings.tampering).toEqual([]);
  expect(chain.links).toHaveLength(Number(seals?.["count"]) + 1);
  expect(harness.errors).toEqual([]);
}

test("s3rver", async () => {
  await using s3 = await startTestS3();
  await sealAndLose(settingsOf(s3));
});

test.runIf(plain)("a real store", async () => {
  if (plain) await sealAndLose(settingsOf(plain));
});

test.runIf(locked)("a real store, with every object locked", async () => {
  if (locked) await sealAndLose(settingsOf(locked, { S3_OBJECT_LOCK_MODE: "GOVERNANCE", S3_OBJECT_LOCK_DAYS: 1 }));
});
