import { createHash } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { openStoreProxy } from "@actions-archive/archive/test-support/store-proxy";
import { logKey } from "@actions-archive/core/object-key";
import { recordObjects } from "@actions-archive/database/ledger/objects";
import { findScrub } from "@actions-archive/database/seal/scrub";
import { jobId, repositoryId, runId } from "@actions-archive/database/test-support/samples";
import { expect, test, vi } from "vitest";

import { archived, type Harness, host, openHarness } from "../../test-support/harness.ts";
import { loadRecords } from "../rows/load-records.ts";
import { scrubArchive } from "./scrub-archive.ts";

const days = 30;
const bodyOf = (key: string) => Buffer.from(`what ${key} holds`);
const pathOf = ({ loader }: Harness, key: string) => join(fileURLToPath(loader.store.url), key);

async function putFile(harness: Harness, key: string, bytes: Buffer): Promise<void> {
  await mkdir(dirname(pathOf(harness, key)), { recursive: true });
  await writeFile(pathOf(harness, key), bytes);
}

/** This number of run records, as the loader recorded them. */
async function fill(harness: Harness, count: number): Promise<string[]> {
  const keys = Array.from({ length: count }, (_, index) => `runs/${host}/${repositoryId}/${runId}/${index + 1}.json`);
  for (const key of keys) await putFile(harness, key, bodyOf(key));
  await recordObjects(
    harness.loader.db,
    keys.map((key) => {
      const bytes = bodyOf(key);
      return { key, version_id: null, size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
    }),
  );
  return keys;
}

const letPass = (harness: Harness, time: string) =>
  harness.ask(`update archive.scrub set round_began_at = round_began_at - interval '${time}'`);
const findingsOf = (harness: Harness) => harness.ask("select object_key, finding from audit.damages order by 1");

test("every object is read once in the time that is set, a little at a time", async () => {
  await using harness = await openHarness();
  await fill(harness, 30);
  await scrubArchive(harness.loader, days);
  const read: number[] = [];
  for (let day = 1; day <= days; day += 1) {
    await letPass(harness, "1 day");
    read.push(await scrubArchive(harness.loader, days));
  }
  expect(read.every((objects) => objects <= 2)).toBe(true);
  await scrubArchive(harness.loader, days);
  expect((await findScrub(harness.loader.db))?.last_round_ended_at).toBeInstanceOf(Date);
  expect(await findingsOf(harness)).toEqual([]);
});

test("reading that was missed while no loader ran is caught up, including new objects", async () => {
  await using harness = await openHarness();
  await fill(harness, 5);
  await scrubArchive(harness.loader, days);
  await fill(harness, 1_200);
  await letPass(harness, "31 days");
  const read = [];
  for (let objects = -1; objects !== 0; read.push(objects)) objects = await scrubArchive(harness.loader, days);
  expect(read.reduce((sum, objects) => sum + objects, 0)).toBeGreaterThanOrEqual(1_199);
  expect(Math.max(...read)).toBeLessThanOrEqual(500);
});

test("what is missing or changed is found by its key, once, and what is removed on purpose is not looked for", async () => {
  await using harness = await openHarness();
  const [missing = "", changed = "", short = "", removed = "", ...whole] = await fill(harness, 8);
  await rm(pathOf(harness, missing));
  await putFile(harness, changed, Buffer.from("other".padEnd(bodyOf(changed).length)));
  await putFile(harness, short, bodyOf(short).subarray(1));
  await rm(pathOf(harness, removed));
  await harness.ask(`insert into archive.tombstones (object_key, job_id, repository_id, size_bytes, sha256, cause, reason)
    values ('${removed}', 1, 1, 1, repeat('0', 64), 'erase', 'a secret')`);
  for (let round = 0; round < 2; round += 1) {
    await scrubArchive(harness.loader, days);
    await letPass(harness, "31 days");
    while ((await scrubArchive(harness.loader, days)) > 0);
  }
  expect(await findingsOf(harness)).toEqual([
    { object_key: missing, finding: "missing" },
    { object_key: changed, finding: "damaged" },
    { object_key: short, finding: "damaged" },
  ]);
  expect(harness.errors).toHaveLength(3);
  expect(whole).toHaveLength(4);
});

test("a damaged log in force is requested again", async () => {
  await using harness = await openHarness();
  await harness.owe();
  const key = await harness.record(jobId, archived());
  await loadRecords(harness.loader, [{ job_id: jobId, key }]);
  await scrubArchive(harness.loader, days);
  await letPass(harness, "31 days");
  while ((await scrubArchive(harness.loader, days)) > 0);
  expect(await findingsOf(harness)).toEqual([
    { object_key: logKey(host, { repository_id: repositoryId, run_id: runId, job_id: jobId }), finding: "missing" },
  ]);
  expect(await harness.ask("select recheck_at <= now() as due, log_state from archive.log_jobs")).toEqual([
    { due: true, log_state: "archived" },
  ]);
});

test("an answer of the store that is short, cut or changed by a bit is no damage; what reads so twice is", async () => {
  vi.stubEnv("AWS_ACCESS_KEY_ID", "S3RVER");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "S3RVER");
  await using harness = await openHarness();
  await using front = await openStoreProxy();
  const loader = { ...harness.loader, store: front.store };
  const keys = await fill(harness, 5);
  for (const [index, key] of keys.entries()) {
    const bytes = Buffer.from(index === 4 ? "other".padEnd(bodyOf(key).length) : bodyOf(key));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    await front.store.put(key, bytes, { sha256, contentType: "application/json" });
  }
  await scrubArchive(loader, days);
  await letPass(harness, "31 days");
  // Sequential, since each wrong response costs a second reading.
  front.getFaults.push("short", undefined, "flip", undefined, "cut", undefined, undefined, "short");
  expect(await scrubArchive(loader, days)).toBe(4);
  expect(front.getFaults).toEqual([]);
  expect(await findingsOf(harness)).toEqual([{ object_key: keys[4], finding: "damaged" }]);
});

test("a store that contradicts itself ends the turn, notes nothing, and the next turn begins there", async () => {
  vi.stubEnv("AWS_ACCESS_KEY_ID", "S3RVER");
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", "S3RVER");
  await using harness = await openHarness();
  await using front = await openStoreProxy();
  const loader = { ...harness.loader, store: front.store };
  for (const key of await fill(harness, 2)) {
    const sha256 = createHash("sha256").update(bodyOf(key)).digest("hex");
    await front.store.put(key, bodyOf(key), { sha256, contentType: "application/json" });
  }
  await scrubArchive(loader, days);
  await letPass(harness, "31 days");
  front.getFaults.push(...Array.from({ length: 12 }, () => "short" as const));
  await expect(scrubArchive(loader, days)).rejects.toMatchObject({ code: "store/unavailable" });
  front.getFaults.length = 0;
  expect(await scrubArchive(loader, days)).toBe(1);
  expect(await findingsOf(harness)).toEqual([]);
});
