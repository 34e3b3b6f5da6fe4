// Foreign objects under a job's keys are evidence. Under its record keys they do not prevent the log from being archived.

import { createHash } from "node:crypto";
import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { readLogContent } from "@actions-archive/archive/log/logs";
import { conflictingLogKey, logKey, recordKey } from "@actions-archive/core/object-key";
import { recordObjects } from "@actions-archive/database/ledger/objects";
import { logSha256 } from "@actions-archive/github-simulator/log/log-content";
import type { Job } from "@actions-archive/github-simulator/world/model";
import { expect, test } from "vitest";

import { type Harness, host, openHarness } from "../test-support/harness.ts";

const refOf = (job: Job) => ({ repository_id: job.run.repository.id, run_id: job.run.id, job_id: job.id });
const recordKeyOf = (job: Job, version = 1) => recordKey(host, refOf(job), version);
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

async function plant({ worker }: Harness, key: string, text: string): Promise<void> {
  const body = Buffer.from(text);
  await worker.store.put(key, body, { sha256: sha256(body), contentType: "application/json" });
}

const damagesOf = (harness: Harness) => harness.query("select object_key, finding from archive.damages");
const messagesOf = ({ lines }: Harness) => lines.map((line) => (JSON.parse(line) as { msg: string }).msg);

test("a log is archived despite a planted record, which stays, and its record gets the next version", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ bytes: 20_000 });
  await plant(harness, recordKeyOf(job), "planted");
  await harness.deliver(job);
  expect(await harness.recordOf(job)).toMatchObject({
    log: { state: "archived", flags: [], key: logKey(host, refOf(job)), raw_sha256: await logSha256(job) },
    previous_sha256: sha256(Buffer.from("planted")),
  });
  expect(await readLogContent(harness.worker.store, logKey(host, refOf(job)))).toMatchObject({ rawSha256: await logSha256(job) });
  expect(await harness.listKeys("records/")).toEqual([recordKeyOf(job, 2), recordKeyOf(job)].toSorted());
  expect((await harness.worker.store.read(recordKeyOf(job)))?.toString()).toBe("planted");
  expect(await harness.query("select record_key from archive.log_jobs")).toEqual([{ record_key: recordKeyOf(job, 2) }]);
  expect(messagesOf(harness)).toContain("record skipped");
  // It was never loaded as a record.
  expect(await damagesOf(harness)).toEqual([]);

  harness.simulator.control.clearJournal({});
  await harness.deliver(job);
  expect(harness.requests()).toEqual([]);
  expect(await harness.listKeys("records/")).toHaveLength(2);
});

test("a job without a log becomes absent despite a planted record", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ isWithoutRunner: true, conclusion: "skipped" });
  await plant(harness, recordKeyOf(job), "{}");
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toEqual({ state: "absent", reason: "not_run", copied_from: null });
});

test("a record that was valid when it was loaded is recorded as damaged, and the log gets a further record", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ bytes: 20_000 });
  await harness.deliver(job);
  const key = recordKeyOf(job);
  const path = join(fileURLToPath(harness.worker.store.url), key);
  const bytes = await readFile(path);
  await recordObjects(harness.worker.db, [{ key, version_id: null, size: bytes.length, sha256: sha256(bytes) }]);
  await chmod(path, 0o600);
  await writeFile(path, bytes.subarray(1));
  await harness.deliver(job);
  expect(await damagesOf(harness)).toEqual([{ object_key: key, finding: "damaged" }]);
  expect(await harness.recordOf(job)).toMatchObject({
    log: { state: "archived", flags: ["adopted"], raw_sha256: await logSha256(job) },
    previous_sha256: sha256(bytes.subarray(1)),
  });
  expect(await harness.listKeys("logs/")).toHaveLength(1);
  await harness.deliver(job);
  expect(await harness.listKeys("records/")).toHaveLength(2);
  expect(await damagesOf(harness)).toHaveLength(1);
});

test("concurrent workers that find a planted record write one outcome", async () => {
  await using harness = await openHarness();
  const job = await harness.addJob({ bytes: 20_000 });
  await plant(harness, recordKeyOf(job), "planted");
  await harness.deliverInTurn(job, 3);
  expect(await harness.listKeys("logs/")).toEqual([logKey(host, refOf(job))]);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived", raw_sha256: await logSha256(job) });
  const before = await harness.listKeys("records/");
  await harness.deliver(job);
  expect(await harness.listKeys("records/")).toEqual(before);
});

test("a log whose two keys are both planted is deferred with their names, delays no other, and is stored once one is free", async () => {
  await using harness = await openHarness();
  const [job, other] = [await harness.addJob({ bytes: 20_000 }), await harness.addJob()];
  const keys = [logKey(host, refOf(job)), conflictingLogKey(host, refOf(job), (await logSha256(job)) ?? "")] as const;
  for (const key of keys) await plant(harness, key, "planted");
  await harness.deliver(job, { isLastAttempt: true });
  expect(await harness.stateOf(job)).toMatchObject({ log_state: "pending", log_reason: null });
  expect((await harness.stateOf(job)).due).toBeGreaterThan(0);
  const delayed = harness.lines.filter((line) => line.includes("log delayed"));
  expect(delayed).toHaveLength(1);
  for (const key of keys) expect(delayed[0]).toContain(key);
  await harness.deliver(other);
  expect((await harness.recordOf(other))?.log).toMatchObject({ state: "archived", key: logKey(host, refOf(other)) });

  await rm(join(fileURLToPath(harness.worker.store.url), keys[1]));
  await harness.deliver(job);
  expect((await harness.recordOf(job))?.log).toMatchObject({ state: "archived", key: keys[1], flags: ["changed_since"] });
  expect((await harness.worker.store.read(keys[0]))?.toString()).toBe("planted");
});
