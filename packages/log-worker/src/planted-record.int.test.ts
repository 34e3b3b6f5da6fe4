// What lies under a job's keys and is not of it: evidence. Under those of its records it keeps no log from being archived.

import { createHash } from "node:crypto";
import { chmod, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { readLogContent } from "@actions-archive/archive/log/logs";
import { conflictingLogKey, logKey, recordKey } from "@actions-archive/core/object-key";
import { noteObjects } from "@actions-archive/database/ledger/objects";
import { logSha256 } from "@actions-archive/github-simulator/log/log-content";
import type { Job } from "@actions-archive/github-simulator/world/model";
import { expect, test } from "vitest";

import { type Bench, host, openBench } from "../test-support/harness.ts";

const refOf = (job: Job) => ({ repository_id: job.run.repository.id, run_id: job.run.id, job_id: job.id });
const recordKeyOf = (job: Job, version = 1) => recordKey(host, refOf(job), version);
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

async function plant({ worker }: Bench, key: string, text: string): Promise<void> {
  const body = Buffer.from(text);
  await worker.store.put(key, body, { sha256: sha256(body), contentType: "application/json" });
}

const damagesOf = (bench: Bench) => bench.ask("select object_key, finding from archive.damages");
const messagesOf = ({ lines }: Bench) => lines.map((line) => (JSON.parse(line) as { msg: string }).msg);

test("a log is archived over a planted record, which stays, and its record gets the next version", async () => {
  await using bench = await openBench();
  const job = await bench.addJob({ bytes: 20_000 });
  await plant(bench, recordKeyOf(job), "planted");
  await bench.deliver(job);
  expect(await bench.recordOf(job)).toMatchObject({
    log: { state: "archived", flags: [], key: logKey(host, refOf(job)), raw_sha256: await logSha256(job) },
    previous_sha256: sha256(Buffer.from("planted")),
  });
  expect(await readLogContent(bench.worker.store, logKey(host, refOf(job)))).toMatchObject({ rawSha256: await logSha256(job) });
  expect(await bench.listKeys("records/")).toEqual([recordKeyOf(job, 2), recordKeyOf(job)].toSorted());
  expect((await bench.worker.store.read(recordKeyOf(job)))?.toString()).toBe("planted");
  expect(await bench.ask("select record_key from archive.obligations")).toEqual([{ record_key: recordKeyOf(job, 2) }]);
  expect(messagesOf(bench)).toContain("record passed over");
  // Nobody ever took it for a record.
  expect(await damagesOf(bench)).toEqual([]);

  bench.simulator.control.clearJournal({});
  await bench.deliver(job);
  expect(bench.asked()).toEqual([]);
  expect(await bench.listKeys("records/")).toHaveLength(2);
});

test("a job without a log is absent over a planted record", async () => {
  await using bench = await openBench();
  const job = await bench.addJob({ isWithoutRunner: true, conclusion: "skipped" });
  await plant(bench, recordKeyOf(job), "{}");
  await bench.deliver(job);
  expect((await bench.recordOf(job))?.log).toEqual({ state: "absent", reason: "not_run", copied_from: null });
});

test("a record that was one when it was loaded is noted as damaged, and the log has a further record", async () => {
  await using bench = await openBench();
  const job = await bench.addJob({ bytes: 20_000 });
  await bench.deliver(job);
  const key = recordKeyOf(job);
  const path = join(fileURLToPath(bench.worker.store.url), key);
  const bytes = await readFile(path);
  await noteObjects(bench.worker.db, [{ key, version_id: null, size: bytes.length, sha256: sha256(bytes) }]);
  await chmod(path, 0o600);
  await writeFile(path, bytes.subarray(1));
  await bench.deliver(job);
  expect(await damagesOf(bench)).toEqual([{ object_key: key, finding: "damaged" }]);
  expect(await bench.recordOf(job)).toMatchObject({
    log: { state: "archived", flags: ["adopted"], raw_sha256: await logSha256(job) },
    previous_sha256: sha256(bytes.subarray(1)),
  });
  expect(await bench.listKeys("logs/")).toHaveLength(1);
  await bench.deliver(job);
  expect(await bench.listKeys("records/")).toHaveLength(2);
  expect(await damagesOf(bench)).toHaveLength(1);
});

test("workers that meet a planted record at the same time end with one story", async () => {
  await using bench = await openBench();
  const job = await bench.addJob({ bytes: 20_000 });
  await plant(bench, recordKeyOf(job), "planted");
  await bench.deliverInTurn(job, 3);
  expect(await bench.listKeys("logs/")).toEqual([logKey(host, refOf(job))]);
  expect((await bench.recordOf(job))?.log).toMatchObject({ state: "archived", raw_sha256: await logSha256(job) });
  const before = await bench.listKeys("records/");
  await bench.deliver(job);
  expect(await bench.listKeys("records/")).toEqual(before);
});

test("a log whose keys are both planted is put off with their names, keeps no other waiting, and is stored once one is free", async () => {
  await using bench = await openBench();
  const [job, other] = [await bench.addJob({ bytes: 20_000 }), await bench.addJob()];
  const keys = [logKey(host, refOf(job)), conflictingLogKey(host, refOf(job), (await logSha256(job)) ?? "")] as const;
  for (const key of keys) await plant(bench, key, "planted");
  await bench.deliver(job, { isLastAttempt: true });
  expect(await bench.stateOf(job)).toMatchObject({ log_state: "pending", log_reason: null });
  expect((await bench.stateOf(job)).due).toBeGreaterThan(0);
  const delayed = bench.lines.filter((line) => line.includes("log delayed"));
  expect(delayed).toHaveLength(1);
  for (const key of keys) expect(delayed[0]).toContain(key);
  await bench.deliver(other);
  expect((await bench.recordOf(other))?.log).toMatchObject({ state: "archived", key: logKey(host, refOf(other)) });

  await rm(join(fileURLToPath(bench.worker.store.url), keys[1]));
  await bench.deliver(job);
  expect((await bench.recordOf(job))?.log).toMatchObject({ state: "archived", key: keys[1], flags: ["changed_since"] });
  expect((await bench.worker.store.read(keys[0]))?.toString()).toBe("planted");
});
