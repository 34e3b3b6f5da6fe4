// How logs go, step by step: the row, a published seal that says so, the object. Whatever crashes or is held between any two of them.

import { createHash, generateKeyPairSync } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { openStore, probeStore } from "@actions-archive/archive/open-store";
import type { Seal } from "@actions-archive/archive/seal/seal";
import { verifySeal } from "@actions-archive/archive/seal/seal-envelope";
import { openSigner } from "@actions-archive/archive/seal/seal-key";
import type { RemoveOutcome, Store } from "@actions-archive/archive/store/store";
import { withMethods } from "@actions-archive/archive/test-support/changed-store";
import { PermanentError, TransientError } from "@actions-archive/core/errors";
import { sealKey } from "@actions-archive/core/object-key";
import { eraseLog } from "@actions-archive/database/retention/erase-log";
import { holdJobs } from "@actions-archive/database/retention/holds";
import { countRemovals } from "@actions-archive/database/retention/removals";
import { changePolicy } from "@actions-archive/database/retention/retention";
import { jobId, repositoryId, runId } from "@actions-archive/database/test-support/samples";
import { realS3 } from "@actions-archive/testkit/test-s3";
import fc from "fast-check";
import { expect, test, vi } from "vitest";

import { archived, type Bench, host, openBench } from "../../test-support/harness.ts";
import type { Loader } from "../loader.ts";
import { loadRecords } from "../rows/load-records.ts";
import { adoptSeals } from "../seal/adopt-seals.ts";
import { sealArchive } from "../seal/seal-archive.ts";
import { applyPolicies, removeTombstoned } from "./apply-retention.ts";

const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
const signer = openSigner(pem);
const archiveId = async (bench: Bench) => String((await bench.ask("select archive_id from archive.identity"))[0]?.["archive_id"]);
const seal = async (bench: Bench, loader: Loader = bench.loader) =>
  sealArchive({ ...loader, archiveId: await archiveId(bench), signer });
const keyOf = (id: number) => `logs/${host}/${repositoryId}/${runId}/${id}.log.zst`;
const isThere = async (bench: Bench, id = jobId) => (await bench.loader.store.head(keyOf(id))) !== undefined;
const hold = ({ loader }: Bench, isHeld: boolean, id = jobId) => holdJobs(loader.db, { jobIds: [id], isHeld, reason: null });

/** A job with a log in the store, loaded. @returns its record's key */
async function addLog(bench: Bench, id = jobId): Promise<string> {
  const body = Buffer.from(`the log of ${id}`);
  const sha256 = createHash("sha256").update(body).digest("hex");
  await bench.loader.store.put(keyOf(id), body, { sha256, contentType: "application/zstd", metadata: { "raw-bytes": "12" } });
  await bench.owe({ id });
  const log = { ...archived(id), stored_bytes: body.length, stored_sha256: sha256 } as ReturnType<typeof archived>;
  const annotations = [{ step_number: 1, level: "error" as const, line_number: 5, message: "token=hunter2" }];
  const key = await bench.record(id, log, { annotations });
  await loadRecords(bench.loader, [{ job_id: id, key }]);
  return key;
}

async function readSeals({ loader }: Bench): Promise<Seal[]> {
  const seals: Seal[] = [];
  for (let sequence = 1; ; sequence += 1) {
    const bytes = await loader.store.read(sealKey(sequence));
    if (bytes === undefined) return seals;
    seals.push(verifySeal(bytes, signer.publicKey, sealKey(sequence)).seal);
  }
}

/** The bench's loader on a store that fails where `methods` say so. */
function withStore({ loader }: Bench, methods: Partial<Pick<Store, "put" | "remove">>): Loader {
  return { ...loader, store: withMethods(loader.store, methods) };
}

test("an erased log goes in this order: its row, a seal in the store that says so, its object; and it stays gone", async () => {
  await using bench = await openBench();
  const record = await addLog(bench);
  await seal(bench);
  await eraseLog(bench.loader.db, jobId, "prints a key");
  expect(await bench.ask("select log_state, log_reason from audit.jobs")).toEqual([
    { log_state: "absent", log_reason: "removed" },
  ]);
  expect(await removeTombstoned(bench.loader)).toBe(0);
  expect(await isThere(bench)).toBe(true);

  await seal(bench);
  expect(await isThere(bench)).toBe(true);
  const seals = await readSeals(bench);
  const entry = seals.flatMap(({ entries }) => entries).find(({ key }) => key === keyOf(jobId));
  expect(seals.at(-1)?.tombstones).toMatchObject([{ ...entry, job_id: jobId, cause: "erase", reason: "prints a key" }]);

  expect(await removeTombstoned(bench.loader)).toBe(1);
  expect(await isThere(bench)).toBe(false);
  expect(await bench.loader.store.read(record)).toBeDefined();
  const gone = await bench.ask("select removed_at, problem from audit.tombstones");
  expect(gone).toEqual([{ removed_at: expect.any(Date) as Date, problem: null }]);
  await loadRecords(bench.loader, [{ job_id: jobId, key: record }]);
  expect(await bench.ask("select log_state, log_reason from audit.jobs")).toEqual([
    { log_state: "absent", log_reason: "removed" },
  ]);
  expect(await bench.ask("select from audit.annotations")).toEqual([]);
  await removeTombstoned(bench.loader);
  expect(await bench.ask("select removed_at, problem from audit.tombstones")).toEqual(gone);
});

test("a log that a worker stores again after it was removed, and one that it stores beside, go as well", async () => {
  await using bench = await openBench();
  await addLog(bench);
  await seal(bench);
  await eraseLog(bench.loader.db, jobId, "why");
  await seal(bench);
  await removeTombstoned(bench.loader);

  const beside = keyOf(jobId).replace(".log.zst", `.${"b".repeat(64)}.log.zst`);
  for (const key of [keyOf(jobId), beside]) {
    const body = Buffer.from("the log again");
    const sha256 = createHash("sha256").update(body).digest("hex");
    await bench.loader.store.put(key, body, { sha256, contentType: "application/zstd" });
    const stored = { stored_bytes: body.length, stored_sha256: sha256 };
    const log = { ...archived(), key, raw_sha256: "b".repeat(64), ...stored } as ReturnType<typeof archived>;
    await loadRecords(bench.loader, [{ job_id: jobId, key: await bench.record(jobId, log) }]);
  }
  expect(await bench.ask("select log_reason from audit.jobs")).toEqual([{ log_reason: "removed" }]);
  await removeTombstoned(bench.loader);
  await seal(bench);
  await removeTombstoned(bench.loader);
  for (const key of [keyOf(jobId), beside]) expect(await bench.loader.store.head(key)).toBeUndefined();
  expect(await bench.ask("select cause, reason from audit.tombstones")).toEqual([
    { cause: "erase", reason: "why" },
    { cause: "erase", reason: "why" },
  ]);
});

test("a database that has lost its tombstones takes them from the seals of the store, and its rows follow", async () => {
  await using bench = await openBench();
  const records = [await addLog(bench), await addLog(bench, jobId + 1)];
  await seal(bench);
  await hold(bench, true, jobId + 1);
  await eraseLog(bench.loader.db, jobId, "why");
  await seal(bench);
  await removeTombstoned(bench.loader);
  await bench.ask(
    "truncate archive.seals, archive.tombstones, archive.holds, archive.objects, archive.logs, archive.obligations cascade",
  );
  for (const [index, key] of records.entries()) await loadRecords(bench.loader, [{ job_id: jobId + index, key }]);
  const states = "select log_state, log_reason from audit.jobs order by job_id";
  expect(await bench.ask(states)).toEqual(Array.from({ length: 2 }, () => ({ log_state: "archived", log_reason: null })));

  await adoptSeals({ ...bench.loader, archiveId: await archiveId(bench), publicKey: signer.publicKey });
  expect(await bench.ask(states)).toEqual([
    { log_state: "absent", log_reason: "removed" },
    { log_state: "archived", log_reason: null },
  ]);
  await expect(eraseLog(bench.loader.db, jobId + 1, "why")).rejects.toThrow("is on hold");
  expect(await removeTombstoned(bench.loader)).toBe(1);
  expect(await bench.ask("select removed_at is not null as is_gone, sealed_in from audit.tombstones")).toEqual([
    { is_gone: true, sealed_in: 2 },
  ]);
});

test("a record that names another job's log brings that log under no tombstone", async () => {
  await using bench = await openBench();
  await addLog(bench);
  await addLog(bench, jobId + 1);
  await seal(bench);
  await eraseLog(bench.loader.db, jobId, "why");
  const log = { ...archived(), key: keyOf(jobId + 1) } as ReturnType<typeof archived>;
  await loadRecords(bench.loader, [{ job_id: jobId, key: await bench.plant(jobId, log) }]);
  await seal(bench);
  await removeTombstoned(bench.loader);
  expect(await isThere(bench, jobId + 1)).toBe(true);
  expect(await bench.ask("select job_id from audit.tombstones")).toEqual([{ job_id: jobId }]);
});

test("a hold between the tombstone and the object keeps the object, until it is released", async () => {
  await using bench = await openBench();
  await addLog(bench);
  await seal(bench);
  await eraseLog(bench.loader.db, jobId, "why");
  await seal(bench);
  expect(await hold(bench, true)).toMatchObject([{ is_held: true, log_reason: "removed" }]);
  expect(await removeTombstoned(bench.loader)).toBe(0);
  expect(await isThere(bench)).toBe(true);
  await hold(bench, false);
  expect(await removeTombstoned(bench.loader)).toBe(1);
  expect(await isThere(bench)).toBe(false);
});

test("a hold waits for a removal that has begun, so that what it holds stays", async () => {
  await using bench = await openBench();
  await addLog(bench);
  await seal(bench);
  await eraseLog(bench.loader.db, jobId, "why");
  await seal(bench);
  const [begun, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const slow = withStore(bench, {
    async remove(key) {
      begun.resolve();
      await goOn.promise;
      return bench.loader.store.remove(key);
    },
  });
  const removing = removeTombstoned(slow);
  await begun.promise;
  let isHeld = false;
  const holding = hold(bench, true).then(() => (isHeld = true));
  const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  await expect.poll(() => bench.ask(waiting)).toHaveLength(1);
  expect(isHeld).toBe(false);
  goOn.resolve();
  await holding;
  expect(await bench.ask("select removed_at is not null as is_gone from audit.tombstones")).toEqual([{ is_gone: true }]);
  expect(await removing).toBe(1);
});

const lockedBucket = await realS3({ isLocked: true });

test.runIf(lockedBucket)(
  "in a locked bucket of a real store nothing goes before its lock ends, and in one with versions nothing stays behind",
  async () => {
    if (lockedBucket === undefined) return;
    await using bench = await openBench();
    vi.stubEnv("AWS_ACCESS_KEY_ID", lockedBucket.accessKeyId);
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", lockedBucket.secretAccessKey);
    const settings = {
      ARCHIVE_URL: new URL(`s3://${lockedBucket.bucket}/${lockedBucket.prefix}`),
      S3_ENDPOINT: new URL(lockedBucket.endpoint),
      S3_FORCE_PATH_STYLE: true,
    };
    const lock = { S3_OBJECT_LOCK_MODE: "COMPLIANCE", S3_OBJECT_LOCK_DAYS: 1 } as const;
    await using locking = await openStore({ ...settings, ...lock });
    await using plain = await openStore(settings);
    for (const store of [locking, plain]) await probeStore(store);
    const body = Buffer.from("a log");
    const options = { sha256: createHash("sha256").update(body).digest("hex"), contentType: "application/zstd" };
    for (const [index, store] of [locking, plain].entries()) {
      const id = jobId + index;
      const put = await store.put(keyOf(id), body, options);
      const version_id = put.kind === "created" ? (put.versionId ?? null) : null;
      const log = { ...archived(id), version_id } as ReturnType<typeof archived>;
      await bench.owe({ id });
      await loadRecords(bench.loader, [{ job_id: id, key: await bench.record(id, log) }]);
    }
    await seal(bench);
    for (const id of [jobId, jobId + 1]) await eraseLog(bench.loader.db, id, "why");
    await seal(bench);
    expect(await removeTombstoned({ ...bench.loader, store: plain })).toBe(1);
    expect(await plain.read(keyOf(jobId))).toEqual(body);
    expect(await plain.head(keyOf(jobId + 1))).toBeUndefined();
    const [kept, gone] = await bench.ask("select retained_until, removed_at, problem from audit.tombstones order by job_id");
    expect(kept).toEqual({ retained_until: expect.any(Date) as Date, removed_at: null, problem: null });
    expect(gone).toEqual({ retained_until: null, removed_at: expect.any(Date) as Date, problem: null });
    expect(await removeTombstoned({ ...bench.loader, store: plain })).toBe(0);
    expect(bench.errors).toEqual([]);
  },
);

test("what the store retains is asked for again when its lock ends, and what has no known end a day later", async () => {
  await using bench = await openBench();
  await addLog(bench);
  await addLog(bench, jobId + 1);
  await seal(bench);
  for (const id of [jobId, jobId + 1]) await eraseLog(bench.loader.db, id, "why");
  await seal(bench);
  const until = new Date("2040-01-01T00:00:00Z");
  let calls = 0;
  const retaining = withStore(bench, {
    remove: async (key): Promise<RemoveOutcome> => {
      calls += 1;
      return key === keyOf(jobId) ? { kind: "retained", until } : { kind: "retained" };
    },
  });
  expect([await removeTombstoned(retaining), await removeTombstoned(retaining), calls]).toEqual([0, 0, 2]);
  expect(await bench.ask("select removed_at, retained_until, problem from audit.tombstones order by job_id")).toEqual([
    { removed_at: null, retained_until: until, problem: null },
    { removed_at: null, retained_until: null, problem: expect.stringContaining("has locked this version") as string },
  ]);
  expect(await countRemovals(bench.loader.db)).toMatchObject({ retained: 1, refused: 1, removed: 0 });
  expect(bench.errors).toEqual([]);
  await bench.ask("update archive.tombstones set due_at = now()");
  expect(await removeTombstoned(bench.loader)).toBe(2);
  expect(await bench.ask("select distinct retained_until, problem from audit.tombstones")).toEqual([
    { retained_until: null, problem: null },
  ]);
});

test.each([
  ["refuses", new PermanentError("store/refused", "grant s3:DeleteObject")],
  ["is away", new TransientError("store/unavailable", "it is tried again")],
])("a store that %s ends the turn, puts the log off with the reason, and keeps nobody else waiting", async (_what, error) => {
  await using bench = await openBench();
  const ids = Array.from({ length: 9 }, (_, index) => jobId + index);
  for (const id of ids) await addLog(bench, id);
  await seal(bench);
  for (const id of ids) await eraseLog(bench.loader.db, id, "why");
  await seal(bench);
  const failing = withStore(bench, { remove: () => Promise.reject(error) });
  expect(await removeTombstoned(failing)).toBe(0);
  expect(await bench.ask("select distinct problem from audit.tombstones where problem is not null")).toEqual([
    { problem: error.message },
  ]);
  expect(bench.errors.length).toBeLessThan(ids.length);
  expect(await countRemovals(bench.loader.db)).toMatchObject({ refused: bench.errors.length });
  expect(await removeTombstoned(bench.loader)).toBe(ids.length - bench.errors.length);
  await bench.ask("update archive.tombstones set due_at = now() where due_at is not null");
  expect(await removeTombstoned(bench.loader)).toBe(bench.errors.length);
});

test("a policy removes what is too old, in the same order, and tells of it", async () => {
  await using bench = await openBench();
  await addLog(bench);
  await addLog(bench, jobId + 1);
  await hold(bench, true, jobId + 1);
  await changePolicy(bench.loader.db, { name: "acme", keepDays: 30 });
  expect(await applyPolicies(bench.loader)).toBe(0);
  await seal(bench);
  await bench.ask("update archive.retention_walk set round_ended_at = now() - interval '1 hour'");
  expect(await applyPolicies(bench.loader)).toBe(1);
  expect(await removeTombstoned(bench.loader)).toBe(0);
  await seal(bench);
  expect(await removeTombstoned(bench.loader)).toBe(1);
  expect([await isThere(bench), await isThere(bench, jobId + 1)]).toEqual([false, true]);
  const [first, last] = await readSeals(bench);
  expect(first).toMatchObject({ policies: [{ name: "acme", keep_days: 30 }], holds: [{ job_id: jobId + 1, is_held: true }] });
  expect(last?.tombstones).toMatchObject([{ job_id: jobId, cause: "retention", reason: "keep 30 days (acme)" }]);
});

type Step = {
  readonly kind: "erase" | "hold" | "release" | "seal" | "remove" | "load" | "policy";
  readonly job: number;
  readonly crash: number;
};

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom<Step["kind"]>("erase", "hold", "release", "seal", "seal", "remove", "remove", "load", "policy"),
  job: fc.integer({ min: 0, max: 1 }),
  /** 0: before the store is asked. 1: after it has done it. Else: none. */
  crash: fc.integer({ min: 0, max: 4 }),
});

class Crash extends Error {}

/** A store that crashes its caller around one of its methods. */
function crashing<A extends unknown[], R>(at: number, call: (...args: A) => Promise<R>, concerns: (...args: A) => boolean) {
  return async (...args: A): Promise<R> => {
    if (!concerns(...args)) return call(...args);
    if (at === 0) throw new Crash();
    const result = await call(...args);
    if (at === 1) throw new Crash();
    return result;
  };
}

async function play(bench: Bench, { kind, job, crash }: Step, records: readonly string[]): Promise<void> {
  const id = jobId + job;
  const { db, store } = bench.loader;
  switch (kind) {
    case "erase":
      await eraseLog(db, id, "why");
      return;
    case "hold":
    case "release":
      await hold(bench, kind === "hold", id);
      return;
    case "seal": {
      const put = crashing(crash, store.put.bind(store), (key) => key.startsWith("seals/"));
      await seal(bench, withStore(bench, { put }));
      return;
    }
    case "remove":
      await removeTombstoned(withStore(bench, { remove: crashing(crash, store.remove.bind(store), (_key) => true) }));
      return;
    case "load":
      await loadRecords(bench.loader, [{ job_id: id, key: records[job] ?? "" }]);
      return;
    case "policy":
      await bench.ask("update archive.retention_walk set round_ended_at = now() - interval '1 hour'");
      await changePolicy(db, { name: "acme/app", keepDays: job === 0 ? 30 : 36_500 });
      await applyPolicies(bench.loader);
  }
}

/** What must hold after every step, and does not. */
async function listViolations(bench: Bench, held: ReadonlySet<number>): Promise<string[]> {
  const seals = await readSeals(bench);
  const carried = new Set(seals.flatMap(({ tombstones }) => tombstones.map(({ key }) => key)));
  const sealed = new Set(seals.flatMap(({ entries }) => entries.map(({ key }) => key)));
  const jobs = await bench.ask("select job_id, log_state, log_reason from audit.jobs");
  const violations = await Promise.all(
    jobs.map(async ({ job_id, log_state, log_reason }) => {
      const id = Number(job_id);
      const isGone = !(await isThere(bench, id));
      const rules: [boolean, string][] = [
        [isGone && !carried.has(keyOf(id)), "gone without a tombstone in the store"],
        [isGone && log_reason !== "removed", "gone, and its row does not say so"],
        [isGone && held.has(id), "gone, and held"],
        [log_state === "archived" && carried.has(keyOf(id)), "archived again under a tombstone"],
        [log_reason === "removed" && !sealed.has(keyOf(id)), "removed and never sealed"],
      ];
      return rules.flatMap(([isBroken, rule]) => (isBroken ? [`job ${id} is ${rule}`] : []));
    }),
  );
  return violations.flat();
}

test("whatever crashes, comes twice or is held: no object goes before its tombstone is in the store, and none that is held", async () => {
  await using bench = await openBench();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      await bench.ask(
        "truncate archive.jobs, archive.steps, archive.logs, archive.annotations, archive.obligations, archive.objects, archive.seals, archive.tombstones, archive.holds, archive.retention_policies, archive.retention_walk cascade",
      );
      for (const kind of ["logs", "records", "seals"])
        await rm(join(fileURLToPath(bench.loader.store.url), kind), { recursive: true, force: true });
      const records = [await addLog(bench), await addLog(bench, jobId + 1)];
      const heldWhileThere = new Set<number>();
      for (const each of steps) {
        const id = jobId + each.job;
        try {
          if (each.kind === "release") heldWhileThere.delete(id);
          await play(bench, each, records);
        } catch (error) {
          // Refused, as an operator would be told, or crashed.
          if (!(error instanceof Crash || (error instanceof PermanentError && error.code === "usage/invalid"))) throw error;
        }
        if (each.kind === "hold" && (await isThere(bench, id))) heldWhileThere.add(id);
        expect(await listViolations(bench, heldWhileThere)).toEqual([]);
      }
      // In the end everything that was decided and is not held is gone.
      for (const id of heldWhileThere) await hold(bench, false, id);
      await bench.ask("update archive.tombstones set due_at = now() where due_at is not null");
      await seal(bench);
      await seal(bench);
      await bench.ask("insert into archive.holds (job_id, is_held) select distinct job_id, false from archive.holds");
      await removeTombstoned(bench.loader);
      expect(await listViolations(bench, new Set())).toEqual([]);
      for (const { object_key } of await bench.ask("select object_key from archive.tombstones"))
        expect(await bench.loader.store.head(String(object_key))).toBeUndefined();
    }),
    { numRuns: 20 },
  );
}, 120_000);
