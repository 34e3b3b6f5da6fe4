// Archiving on every kind of store: a folder, an S3 server without conditional writes and versions, and a real one with a plain
// and a locked bucket. The outcome is the same on all.

import { randomBytes } from "node:crypto";

import { readLogContent } from "@actions-archive/archive/log/logs";
import type { StoreSettings } from "@actions-archive/archive/open-store";
import { withMethods } from "@actions-archive/archive/test-support/changed-store";
import { TransientError } from "@actions-archive/core/errors";
import { conflictingLogKey, logKey } from "@actions-archive/core/object-key";
import { logSha256 } from "@actions-archive/github-simulator/log/log-content";
import { randomLog } from "@actions-archive/github-simulator/log/random-log";
import type { Job } from "@actions-archive/github-simulator/world/model";
import { realS3, startTestS3, type TestS3 } from "@actions-archive/testkit/test-s3";
import { describe, expect, test, vi } from "vitest";

import { type Harness, host, openHarness } from "../test-support/harness.ts";
import { archiveLog } from "./archive-log.ts";

const refOf = (job: Job) => ({ repository_id: job.run.repository.id, run_id: job.run.id, job_id: job.id });
const keyOf = (job: Job) => logKey(host, refOf(job));

type Place = AsyncDisposable & { readonly archive: StoreSettings | undefined };

function settingsOf(s3: TestS3, more: Partial<StoreSettings> = {}): StoreSettings {
  // The SDK reads its credentials from the environment, as in production.
  vi.stubEnv("AWS_ACCESS_KEY_ID", s3.accessKeyId);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", s3.secretAccessKey);
  const ARCHIVE_URL = new URL(`s3://${s3.bucket}/${s3.prefix}/${randomBytes(4).toString("hex")}`);
  return { ARCHIVE_URL, S3_ENDPOINT: new URL(s3.endpoint), S3_FORCE_PATH_STYLE: true, ...more };
}

/** A worker that crashes between the log and its record: no write of a record reaches the store. */
async function deliverWithoutRecord({ worker }: Harness, job: Job): Promise<void> {
  const store = withMethods(worker.store, {
    async put(...about) {
      if (about[0].startsWith("records/")) throw new TransientError("store/unavailable", "died");
      return worker.store.put(...about);
    },
  });
  const delivery = { signal: AbortSignal.timeout(60_000), attempt: 1, isLastAttempt: false };
  await expect(archiveLog({ ...worker, store })({ job_id: job.id }, delivery)).rejects.toThrow("died");
}

async function expectArchived(harness: Harness, job: Job, flags: readonly string[], key = keyOf(job)): Promise<void> {
  const { store } = harness.worker;
  const log = (await harness.recordOf(job))?.log;
  expect(log).toMatchObject({ state: "archived", flags, key, raw_sha256: await logSha256(job) });
  if (log?.state !== "archived") return;
  expect(log.version_id !== null).toBe(store.capabilities?.versioned);
  const version = log.version_id === null ? {} : { versionId: log.version_id };
  expect(await readLogContent(store, key, { sizeBytes: log.stored_bytes, ...version })).toEqual({
    rawBytes: log.raw_bytes,
    rawSha256: log.raw_sha256,
    storedBytes: log.stored_bytes,
    storedSha256: log.stored_sha256,
  });
}

function describeStore(name: string, open: () => Promise<Place>): void {
  describe(name, () => {
    test("logs in memory and on disk are archived byte by byte, once", async () => {
      await using place = await open();
      await using harness = await openHarness(place.archive === undefined ? {} : { archive: place.archive });
      const large = await harness.addJob();
      large.log = { kind: "text", content: randomLog(large, 9_000_000) };
      for (const job of [await harness.addJob(), large]) {
        await harness.deliver(job);
        await expectArchived(harness, job, []);
        await harness.deliver(job);
        expect(await harness.listKeys(keyOf(job))).toEqual([keyOf(job)]);
      }
      expect(await harness.listKeys("records/")).toHaveLength(2);
    });

    test("a log without its record is adopted, whether GitHub still has it or not", async () => {
      await using place = await open();
      await using harness = await openHarness(place.archive === undefined ? {} : { archive: place.archive });
      const [kept, gone] = [await harness.addJob(), await harness.addJob()];
      for (const job of [kept, gone]) await deliverWithoutRecord(harness, job);
      expect(await harness.listKeys("records/")).toEqual([]);
      await harness.deliver(kept);
      await expectArchived(harness, kept, ["adopted"]);
      const { log } = gone;
      harness.simulator.control.setLog({ jobId: gone.id, kind: "expired" });
      await harness.deliver(gone);
      gone.log = log;
      await expectArchived(harness, gone, ["adopted"]);
    });

    test("a changed log is stored under a further key, and the first one stays", async () => {
      await using place = await open();
      await using harness = await openHarness(place.archive === undefined ? {} : { archive: place.archive });
      const job = await harness.addJob();
      await deliverWithoutRecord(harness, job);
      const first = await readLogContent(harness.worker.store, keyOf(job));
      job.log = { kind: "text", content: randomLog(job, 1_000) };
      await harness.deliver(job);
      await expectArchived(harness, job, ["changed_since"], conflictingLogKey(host, refOf(job), (await logSha256(job)) ?? ""));
      expect(await readLogContent(harness.worker.store, keyOf(job))).toEqual(first);
    });

    test("concurrent workers on one job write one outcome", async () => {
      await using place = await open();
      await using harness = await openHarness(place.archive === undefined ? {} : { archive: place.archive });
      const job = await harness.addJob();
      harness.simulator.faults.add({ origin: "log", delayMs: 1_500, times: 3 });
      await harness.deliverInTurn(job, 3);
      expect(await harness.listKeys("logs/")).toEqual([keyOf(job)]);
      expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived", raw_sha256: await logSha256(job) });
    });
  });
}

describeStore("a folder", async () => ({ archive: undefined, async [Symbol.asyncDispose]() {} }));
describeStore("s3rver", async () => {
  const server = await startTestS3();
  return { archive: settingsOf(server), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
});

const [plain, locked] = [await realS3(), await realS3({ isLocked: true })];
if (plain && locked) {
  const lock = { S3_OBJECT_LOCK_MODE: "GOVERNANCE", S3_OBJECT_LOCK_DAYS: 1 } as const;
  describeStore("a bucket of the S3 store of TEST_S3_ENDPOINT", async () => ({
    archive: settingsOf(plain),
    async [Symbol.asyncDispose]() {},
  }));
  describeStore("a locked bucket of the S3 store of TEST_S3_ENDPOINT", async () => ({
    archive: settingsOf(locked, lock),
    async [Symbol.asyncDispose]() {},
  }));
} else {
  test.skip("the way of a log on a real S3 store was NOT RUN: set TEST_S3_ENDPOINT, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", () => {});
}
