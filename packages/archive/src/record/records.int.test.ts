// Records: versions that are only added, one in force, equal bytes for equal content.

import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { conflictingLogKey, recordKey, runRecordKey } from "@actions-archive/core/object-key";
import { expect, test } from "vitest";

import { openStore } from "../open-store.ts";
import { canonicalBytes } from "../store/canonical-bytes.ts";
import { maxReadBytes, type Store } from "../store/store.ts";
import {
  findRecord,
  findRunRecord,
  maxVersions,
  type NewLogRecord,
  parseLogRecord,
  type PassedOverRecord,
  putRecord,
  putRunRecord,
  readLogRecord,
} from "./records.ts";

const host = "github.com";
const ref = { repository_id: 11, run_id: 22, job_id: 33 };

async function openFolder(): Promise<AsyncDisposable & { readonly store: Store }> {
  const path = await mkdtemp(join(tmpdir(), "actions-archive-records-"));
  return {
    store: await openStore({ ARCHIVE_URL: pathToFileURL(path) }),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true }),
  };
}

function absentRecord(over: Partial<NewLogRecord> = {}): NewLogRecord {
  return {
    host,
    repository_id: 11,
    repository: "octo-org/octo-repo",
    run_id: 22,
    job_id: 33,
    run_attempt: 1,
    last_listed_attempt: 2,
    job: { id: 33, run_id: 22, name: "build \u0000 \ud800 ü", steps: [{ number: 1 }], runner_id: null, ratio: 0.5 },
    job_source: "listing",
    job_received_at: "2024-05-06T07:08:09Z",
    log: { state: "absent", reason: "deleted", copied_from: null },
    decided_at: "2024-05-06T08:00:00.000Z",
    ...over,
  };
}

const archivedLog = {
  state: "archived",
  flags: ["no_end_marker"],
  key: "logs/github.com/11/22/33.log.zst",
  version_id: null,
  raw_bytes: 5,
  raw_sha256: "a".repeat(64),
  stored_bytes: 40,
  stored_sha256: "b".repeat(64),
  lines: 1,
  first_time: null,
  last_time: null,
  oddities: { bom: false, crlf: 0, nul: 0, lines_without_time: 1 },
} satisfies NewLogRecord["log"];

test("a record is read as it was put, and is found under the first key", async () => {
  await using folder = await openFolder();
  expect(await findRecord(folder.store, host, ref)).toBeUndefined();
  const put = await putRecord(folder.store, host, ref, absentRecord());
  expect(put).toMatchObject({ key: "records/github.com/11/22/33.json", version: 1, created: true });
  const { created: _, ...found } = put;
  expect(await findRecord(folder.store, host, ref)).toEqual(found);
  // A lone surrogate is the only text that cannot be stored as received.
  const job = { ...absentRecord().job, name: "build \u0000 \ufffd ü" };
  expect(found.record).toEqual({ ...absentRecord({ job }), schema_version: 1, previous_sha256: null });
});

test("equal content makes no new version, whatever the order of its keys and the time of the decision", async () => {
  await using folder = await openFolder();
  const first = await putRecord(folder.store, host, ref, absentRecord());
  const job = Object.fromEntries(Object.entries(absentRecord().job).toReversed());
  const second = await putRecord(folder.store, host, ref, absentRecord({ job, decided_at: "2025-01-01T00:00:00Z" }));
  expect(second).toEqual({ ...first, created: false });
  expect(await folder.store.head("records/github.com/11/22/33.2.json")).toBeUndefined();
});

test("different content becomes the next version, which has the hash of the previous one", async () => {
  await using folder = await openFolder();
  const first = await putRecord(folder.store, host, ref, absentRecord());
  const second = await putRecord(
    folder.store,
    host,
    ref,
    absentRecord({ log: { state: "absent", reason: "expired", copied_from: null } }),
  );
  expect(second).toMatchObject({
    key: "records/github.com/11/22/33.2.json",
    version: 2,
    record: { previous_sha256: first.sha256 },
  });
  expect(await findRecord(folder.store, host, ref)).toMatchObject({ version: 2 });
});

test("an archived log outranks a later absence", async () => {
  await using folder = await openFolder();
  await putRecord(folder.store, host, ref, absentRecord());
  const archived = await putRecord(folder.store, host, ref, absentRecord({ log: archivedLog }));
  const later = await putRecord(
    folder.store,
    host,
    ref,
    absentRecord({ log: { state: "absent", reason: "expired", copied_from: null } }),
  );
  expect(later.version).toBe(3);
  expect(await findRecord(folder.store, host, ref)).toMatchObject({ version: 2, sha256: archived.sha256 });
  expect(await putRecord(folder.store, host, ref, absentRecord({ log: archivedLog }))).toMatchObject({
    version: 2,
    created: false,
  });
});

test("two concurrent workers with the same decision write one version, with different decisions two", async () => {
  await using folder = await openFolder();
  const same = await Promise.all(
    Array.from({ length: 6 }, (_, second) =>
      putRecord(folder.store, host, ref, absentRecord({ decided_at: `2024-05-06T08:00:0${second}Z` })),
    ),
  );
  expect(new Set(same.map(({ key }) => key)).size).toBe(1);
  expect(same.filter(({ created }) => created)).toHaveLength(1);
  const different = await Promise.all(
    Array.from({ length: 4 }, (_, index) => putRecord(folder.store, host, ref, absentRecord({ last_listed_attempt: 3 + index }))),
  );
  expect(different.map(({ version }) => version).toSorted((a, b) => a - b)).toEqual([2, 3, 4, 5]);
});

async function plant(store: Store, key: string, body: Buffer): Promise<string> {
  const sha256 = createHash("sha256").update(body).digest("hex");
  await store.put(key, body, { sha256, contentType: "application/json" });
  return sha256;
}

const changed = (changes: object) => (whole: Buffer) => canonicalBytes({ ...JSON.parse(whole.toString()), ...changes });

const keyOfVersion = (version: number) => recordKey(host, ref, version);

test.each([
  ["is empty", () => Buffer.alloc(0)],
  ["was cut", (whole: Buffer) => whole.subarray(0, -1)],
  ["is of another job", (whole: Buffer) => Buffer.from(whole.toString().replace('"job_id":33', '"job_id":34'))],
  ["is of another host", (whole: Buffer) => Buffer.from(whole.toString().replace(`"${host}"`, '"example.com"'))],
  ["is of another repository", changed({ repository_id: 12 })],
  ["is of another run", changed({ run_id: 23 })],
  ["holds another run's object", changed({ job: { id: 33, run_id: 23 } })],
  ["holds another job's object", (whole: Buffer) => Buffer.from(whole.toString().replace('"id":33', '"id":34'))],
  ["names another job's log", (whole: Buffer) => Buffer.from(whole.toString().replace("33.log.zst", "34.log.zst"))],
  [
    "is of a future version",
    (whole: Buffer) => Buffer.from(whole.toString().replace('"schema_version":1', '"schema_version":2')),
  ],
])("a version that %s is passed over, and the next one is written and names its bytes", async (_what, change) => {
  await using folder = await openFolder();
  await using other = await openFolder();
  const { key } = await putRecord(other.store, host, ref, absentRecord({ log: archivedLog }));
  const whole = (await other.store.read(key)) ?? Buffer.alloc(0);
  expect(change(whole)).not.toEqual(whole);
  const previous_sha256 = await plant(folder.store, key, change(whole));
  const passedOver: PassedOverRecord[] = [];
  expect(await findRecord(folder.store, host, ref, (each) => passedOver.push(each))).toBeUndefined();
  expect(passedOver).toMatchObject([{ key, version: 1, error: { code: "store/corrupt" } }]);
  const put = await putRecord(folder.store, host, ref, absentRecord({ log: archivedLog }));
  expect(put).toMatchObject({ key: keyOfVersion(2), version: 2, created: true, record: { previous_sha256 } });
  expect(await findRecord(folder.store, host, ref)).toMatchObject({ version: 2 });
});

test("the record in force is found among invalid versions, and nothing is written twice", async () => {
  await using folder = await openFolder();
  await plant(folder.store, keyOfVersion(1), Buffer.from("planted"));
  const archived = await putRecord(folder.store, host, ref, absentRecord({ log: archivedLog }));
  const previous_sha256 = await plant(folder.store, keyOfVersion(3), Buffer.from("{}"));
  expect(await findRecord(folder.store, host, ref)).toMatchObject({ version: 2, sha256: archived.sha256 });
  expect(await putRecord(folder.store, host, ref, absentRecord({ log: archivedLog }))).toMatchObject({
    version: 2,
    created: false,
  });
  expect(await putRecord(folder.store, host, ref, absentRecord())).toMatchObject({ version: 4, record: { previous_sha256 } });
});

test("concurrent workers that meet a planted version write one record", async () => {
  await using folder = await openFolder();
  await plant(folder.store, keyOfVersion(1), Buffer.from("planted"));
  const put = await Promise.all(
    Array.from({ length: 6 }, (_, second) =>
      putRecord(folder.store, host, ref, absentRecord({ decided_at: `2024-05-06T08:00:0${second}Z` })),
    ),
  );
  expect(new Set(put.map(({ key }) => key))).toEqual(new Set([keyOfVersion(2)]));
  expect(put.filter(({ created }) => created)).toHaveLength(1);
});

test("with the maximum number of planted versions, reads still end, and no further version is written", async () => {
  await using folder = await openFolder();
  for (let version = 1; version <= maxVersions + 5; version += 1)
    await plant(folder.store, keyOfVersion(version), Buffer.from("planted"));
  expect(await findRecord(folder.store, host, ref)).toBeUndefined();
  await expect(putRecord(folder.store, host, ref, absentRecord())).rejects.toMatchObject({ code: "store/refused" });
  expect(await folder.store.head(keyOfVersion(maxVersions + 6))).toBeUndefined();
});

test("a record that readers would skip is not written", async () => {
  await using folder = await openFolder();
  for (const changes of [{ job: { id: 34, run_id: 22 } }, { log: { ...archivedLog, key: "logs/github.com/11/22/34.log.zst" } }])
    await expect(putRecord(folder.store, host, ref, absentRecord(changes as never))).rejects.toMatchObject({
      code: "store/refused",
    });
  expect(await Array.fromAsync(folder.store.list(""))).toEqual([]);
});

test("a record that is too large for its readers is not written", async () => {
  await using folder = await openFolder();
  const job = { ...absentRecord().job, name: "x".repeat(maxReadBytes(keyOfVersion(1))) };
  await expect(putRecord(folder.store, host, ref, absentRecord({ job }))).rejects.toMatchObject({ code: "store/refused" });
  expect(await folder.store.head(keyOfVersion(1))).toBeUndefined();
});

test("a record of a log under its conflict key is found; under the conflict key of other bytes it is not written", async () => {
  await using folder = await openFolder();
  const of = (hash: string) => absentRecord({ log: { ...archivedLog, key: conflictingLogKey(host, ref, hash) } });
  await expect(putRecord(folder.store, host, ref, of("c".repeat(64)))).rejects.toMatchObject({ code: "store/refused" });
  const put = await putRecord(folder.store, host, ref, of(archivedLog.raw_sha256));
  expect(await findRecord(folder.store, host, ref)).toMatchObject({ version: 1, sha256: put.sha256 });
});

test("two workers that archive one log write one version, also when one of them found the other's log", async () => {
  await using folder = await openFolder();
  const first = await putRecord(folder.store, host, ref, absentRecord({ log: archivedLog }));
  const adopted: NewLogRecord["log"] = { ...archivedLog, flags: [...archivedLog.flags, "adopted"] };
  expect(await putRecord(folder.store, host, ref, absentRecord({ log: adopted }))).toEqual({ ...first, created: false });
});

test("a record under another job's key, or another host's, is corrupt", async () => {
  await using folder = await openFolder();
  const { key } = await putRecord(folder.store, host, ref, absentRecord());
  expect(await readLogRecord(folder.store, key, 33)).toMatchObject({ job_id: 33 });
  await expect(readLogRecord(folder.store, key, 34)).rejects.toMatchObject({ code: "store/corrupt" });
  const bytes = (await folder.store.read(key)) ?? Buffer.alloc(0);
  const foreign = recordKey("ghe.example.com", ref, 1);
  expect(() => parseLogRecord(bytes, { host, key: foreign, name: foreign })).toThrow(foreign);
});

test.each([
  ["of another host", { host: "ghe.example.com" }],
  ["of another run", { run_id: 23 }],
  ["of another attempt", { run_attempt: 2 }],
])("a run record %s is corrupt", async (_what, changes) => {
  await using folder = await openFolder();
  const attempt = { repository_id: 11, run_id: 22, run_attempt: 1 };
  const other = { ...attempt, repository: "octo-org/octo-repo", run: { id: 22 }, run_received_at: "2024-05-06T07:08:09Z" };
  const record = { schema_version: 1, host, ...other, job_ids: [33], ...changes };
  await plant(folder.store, runRecordKey(host, attempt), canonicalBytes(record));
  await expect(findRunRecord(folder.store, host, attempt)).rejects.toMatchObject({ code: "store/corrupt" });
});

test("a run record is written once, and an existing one stays", async () => {
  await using folder = await openFolder();
  const attempt = { repository_id: 11, run_id: 22, run_attempt: 1 };
  const record = {
    host,
    ...attempt,
    repository: "octo-org/octo-repo",
    run: { id: 22, name: "CI" },
    run_received_at: "2024-05-06T07:08:09Z",
    job_ids: [34, 33],
  };
  expect(await findRunRecord(folder.store, host, attempt)).toBeUndefined();
  const first = await putRunRecord(folder.store, host, attempt, record);
  expect(first).toMatchObject({ key: "runs/github.com/11/22/1.json", created: true, record: { job_ids: [33, 34] } });
  const second = await putRunRecord(folder.store, host, attempt, { ...record, job_ids: [33] });
  expect(second).toEqual({ ...first, created: false });
});
