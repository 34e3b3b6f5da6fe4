// Removal of logs step by step (row, published seal, object), with crashes and holds in between.

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

import { archived, type Harness, host, openHarness } from "../../test-support/harness.ts";
import type { Loader } from "../loader.ts";
import { loadRecords } from "../rows/load-records.ts";
import { adoptSeals } from "../seal/adopt-seals.ts";
import { sealArchive } from "../seal/seal-archive.ts";
import { applyPolicies, removeTombstoned } from "./apply-retention.ts";

const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
const signer = openSigner(pem);
const archiveId = async (harness: Harness) =>
  String((await harness.ask("select archive_id from archive.identity"))[0]?.["archive_id"]);
const seal = async (harness: Harness, loader: Loader = harness.loader) =>
  sealArchive({ ...loader, archiveId: await archiveId(harness), signer });
const keyOf = (id: number) => `logs/${host}/${repositoryId}/${runId}/${id}.log.zst`;
const isThere = async (harness: Harness, id = jobId) => (await harness.loader.store.head(keyOf(id))) !== undefined;
const hold = ({ loader }: Harness, isHeld: boolean, id = jobId) => holdJobs(loader.db, { jobIds: [id], isHeld, reason: null });

/**
 * A loaded job with a log in the store.
 * @returns its record's key
 */
async function addLog(harness: Harness, id = jobId): Promise<string> {
  const body = Buffer.from(`the log of ${id}`);
  const sha256 = createHash("sha256").update(body).digest("hex");
  await harness.loader.store.put(keyOf(id), body, { sha256, contentType: "application/zstd", metadata: { "raw-bytes": "12" } });
  await harness.owe({ id });
  const log = { ...archived(id), stored_bytes: body.length, stored_sha256: sha256 } as ReturnType<typeof archived>;
  const annotations = [{ step_number: 1, level: "error" as const, line_number: 5, message: "token=hunter2" }];
  const key = await harness.record(id, log, { annotations });
  await loadRecords(harness.loader, [{ job_id: id, key }]);
  return key;
}

async function readSeals({ loader }: Harness): Promise<Seal[]> {
  const seals: Seal[] = [];
  for (let sequence = 1; ; sequence += 1) {
    const bytes = await loader.store.read(sealKey(sequence));
    if (bytes === undefined) return seals;
    seals.push(verifySeal(bytes, signer.publicKey, sealKey(sequence)).seal);
  }
}

/** The harness' loader on a store that fails in `methods`. */
function withStore({ loader }: Harness, methods: Partial<Pick<Store, "put" | "remove">>): Loader {
  return { ...loader, store: withMethods(loader.store, methods) };
}

test("an erased log is removed in order: its row, a seal in the store, its object", async () => {
  await using harness = await openHarness();
  const record = await addLog(harness);
  await seal(harness);
  await eraseLog(harness.loader.db, jobId, "prints a key");
  expect(await harness.ask("select log_state, log_reason from audit.jobs")).toEqual([
    { log_state: "absent", log_reason: "removed" },
  ]);
  expect(await removeTombstoned(harness.loader)).toBe(0);
  expect(await isThere(harness)).toBe(true);

  await seal(harness);
  expect(await isThere(harness)).toBe(true);
  const seals = await readSeals(harness);
  const entry = seals.flatMap(({ entries }) => entries).find(({ key }) => key === keyOf(jobId));
  expect(seals.at(-1)?.tombstones).toMatchObject([{ ...entry, job_id: jobId, cause: "erase", reason: "prints a key" }]);

  expect(await removeTombstoned(harness.loader)).toBe(1);
  expect(await isThere(harness)).toBe(false);
  expect(await harness.loader.store.read(record)).toBeDefined();
  const gone = await harness.ask("select removed_at, problem from audit.tombstones");
  expect(gone).toEqual([{ removed_at: expect.any(Date) as Date, problem: null }]);
  await loadRecords(harness.loader, [{ job_id: jobId, key: record }]);
  expect(await harness.ask("select log_state, log_reason from audit.jobs")).toEqual([
    { log_state: "absent", log_reason: "removed" },
  ]);
  expect(await harness.ask("select from audit.annotations")).toEqual([]);
  await removeTombstoned(harness.loader);
  expect(await harness.ask("select removed_at, problem from audit.tombstones")).toEqual(gone);
});

test("a log that a worker stores again after its removal, and an extra log, are removed as well", async () => {
  await using harness = await openHarness();
  await addLog(harness);
  await seal(harness);
  await eraseLog(harness.loader.db, jobId, "why");
  await seal(harness);
  await removeTombstoned(harness.loader);

  const extraKey = keyOf(jobId).replace(".log.zst", `.${"b".repeat(64)}.log.zst`);
  for (const key of [keyOf(jobId), extraKey]) {
    const body = Buffer.from("the log again");
    const sha256 = createHash("sha256").update(body).digest("hex");
    await harness.loader.store.put(key, body, { sha256, contentType: "application/zstd" });
    const stored = { stored_bytes: body.length, stored_sha256: sha256 };
    const log = { ...archived(), key, raw_sha256: "b".repeat(64), ...stored } as ReturnType<typeof archived>;
    await loadRecords(harness.loader, [{ job_id: jobId, key: await harness.record(jobId, log) }]);
  }
  expect(await harness.ask("select log_reason from audit.jobs")).toEqual([{ log_reason: "removed" }]);
  await removeTombstoned(harness.loader);
  await seal(harness);
  await removeTombstoned(harness.loader);
  for (const key of [keyOf(jobId), extraKey]) expect(await harness.loader.store.head(key)).toBeUndefined();
  expect(await harness.ask("select cause, reason from audit.tombstones")).toEqual([
    { cause: "erase", reason: "why" },
    { cause: "erase", reason: "why" },
  ]);
});

test("a database that lost its tombstones restores them from the seals of the store, with its rows", async () => {
  await using harness = await openHarness();
  const records = [await addLog(harness), await addLog(harness, jobId + 1)];
  await seal(harness);
  await hold(harness, true, jobId + 1);
  await eraseLog(harness.loader.db, jobId, "why");
  await seal(harness);
  await removeTombstoned(harness.loader);
  await harness.ask(
    "truncate archive.seals, archive.tombstones, archive.holds, archive.objects, archive.logs, archive.log_jobs cascade",
  );
  for (const [index, key] of records.entries()) await loadRecords(harness.loader, [{ job_id: jobId + index, key }]);
  const states = "select log_state, log_reason from audit.jobs order by job_id";
  expect(await harness.ask(states)).toEqual(Array.from({ length: 2 }, () => ({ log_state: "archived", log_reason: null })));

  await adoptSeals({ ...harness.loader, archiveId: await archiveId(harness), publicKey: signer.publicKey });
  expect(await harness.ask(states)).toEqual([
    { log_state: "absent", log_reason: "removed" },
    { log_state: "archived", log_reason: null },
  ]);
  await expect(eraseLog(harness.loader.db, jobId + 1, "why")).rejects.toThrow("is on hold");
  expect(await removeTombstoned(harness.loader)).toBe(1);
  expect(await harness.ask("select removed_at is not null as is_gone, sealed_in from audit.tombstones")).toEqual([
    { is_gone: true, sealed_in: 2 },
  ]);
});

test("a record that names another job's log brings that log under no tombstone", async () => {
  await using harness = await openHarness();
  await addLog(harness);
  await addLog(harness, jobId + 1);
  await seal(harness);
  await eraseLog(harness.loader.db, jobId, "why");
  const log = { ...archived(), key: keyOf(jobId + 1) } as ReturnType<typeof archived>;
  await loadRecords(harness.loader, [{ job_id: jobId, key: await harness.plant(jobId, log) }]);
  await seal(harness);
  await removeTombstoned(harness.loader);
  expect(await isThere(harness, jobId + 1)).toBe(true);
  expect(await harness.ask("select job_id from audit.tombstones")).toEqual([{ job_id: jobId }]);
});

test("a hold between the tombstone and the object keeps the object, until it is released", async () => {
  await using harness = await openHarness();
  await addLog(harness);
  await seal(harness);
  await eraseLog(harness.loader.db, jobId, "why");
  await seal(harness);
  expect(await hold(harness, true)).toMatchObject([{ is_held: true, log_reason: "removed" }]);
  expect(await removeTombstoned(harness.loader)).toBe(0);
  expect(await isThere(harness)).toBe(true);
  await hold(harness, false);
  expect(await removeTombstoned(harness.loader)).toBe(1);
  expect(await isThere(harness)).toBe(false);
});

test("a hold waits for a removal that has begun, so that what it holds stays", async () => {
  await using harness = await openHarness();
  await addLog(harness);
  await seal(harness);
  await eraseLog(harness.loader.db, jobId, "why");
  await seal(harness);
  const [begun, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const slow = withStore(harness, {
    async remove(key) {
      begun.resolve();
      await goOn.promise;
      return harness.loader.store.remove(key);
    },
  });
  const removing = removeTombstoned(slow);
  await begun.promise;
  let isHeld = false;
  const holding = hold(harness, true).then(() => (isHeld = true));
  const waiting = "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
  await expect.poll(() => harness.ask(waiting)).toHaveLength(1);
  expect(isHeld).toBe(false);
  goOn.resolve();
  await holding;
  expect(await harness.ask("select removed_at is not null as is_gone from audit.tombstones")).toEqual([{ is_gone: true }]);
  expect(await removing).toBe(1);
});

const lockedBucket = await realS3({ isLocked: true });

test.runIf(lockedBucket)(
  "in a locked bucket of a real store nothing goes before its lock ends, and in one with versions nothing stays behind",
  async () => {
    if (lockedBucket === undefined) return;
    await using harness = await openHarness();
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
      await harness.owe({ id });
      await loadRecords(harness.loader, [{ job_id: id, key: await harness.record(id, log) }]);
    }
    await seal(harness);
    for (const id of [jobId, jobId + 1]) await eraseLog(harness.loader.db, id, "why");
    await seal(harness);
    expect(await removeTombstoned({ ...harness.loader, store: plain })).toBe(1);
    expect(await plain.read(keyOf(jobId))).toEqual(body);
    expect(await plain.head(keyOf(jobId + 1))).toBeUndefined();
    const [kept, gone] = await harness.ask("select retained_until, removed_at, problem from audit.tombstones order by job_id");
    expect(kept).toEqual({ retained_until: expect.any(Date) as Date, removed_at: null, problem: null });
    expect(gone).toEqual({ retained_until: null, removed_at: expect.any(Date) as Date, problem: null });
    expect(await removeTombstoned({ ...harness.loader, store: plain })).toBe(0);
    expect(harness.errors).toEqual([]);
  },
);

test("a removal that the store refuses is retried when the lock ends, or a day later if the end is unknown", async () => {
  await using harness = await openHarness();
  await addLog(harness);
  await addLog(harness, jobId + 1);
  await seal(harness);
  for (const id of [jobId, jobId + 1]) await eraseLog(harness.loader.db, id, "why");
  await seal(harness);
  const until = new Date("2040-01-01T00:00:00Z");
  let calls = 0;
  const retaining = withStore(harness, {
    remove: async (key): Promise<RemoveOutcome> => {
      calls += 1;
      return key === keyOf(jobId) ? { kind: "retained", until } : { kind: "retained" };
    },
  });
  expect([await removeTombstoned(retaining), await removeTombstoned(retaining), calls]).toEqual([0, 0, 2]);
  expect(await harness.ask("select removed_at, retained_until, problem from audit.tombstones order by job_id")).toEqual([
    { removed_at: null, retained_until: until, problem: null },
    { removed_at: null, retained_until: null, problem: expect.stringContaining("has locked this version") as string },
  ]);
  expect(await countRemovals(harness.loader.db)).toMatchObject({ retained: 1, refused: 1, removed: 0 });
  expect(harness.errors).toEqual([]);
  await harness.ask("update archive.tombstones set due_at = now()");
  expect(await removeTombstoned(harness.loader)).toBe(2);
  expect(await harness.ask("select distinct retained_until, problem from audit.tombstones")).toEqual([
    { retained_until: null, problem: null },
  ]);
});

test.each([
  ["refuses", new PermanentError("store/refused", "grant s3:DeleteObject")],
  ["is away", new TransientError("store/unavailable", "it is tried again")],
])("a store that %s ends the turn, defers the log with the reason, and delays no other log", async (_what, error) => {
  await using harness = await openHarness();
  const ids = Array.from({ length: 9 }, (_, index) => jobId + index);
  for (const id of ids) await addLog(harness, id);
  await seal(harness);
  for (const id of ids) await eraseLog(harness.loader.db, id, "why");
  await seal(harness);
  const failing = withStore(harness, { remove: () => Promise.reject(error) });
  expect(await removeTombstoned(failing)).toBe(0);
  expect(await harness.ask("select distinct problem from audit.tombstones where problem is not null")).toEqual([
    { problem: error.message },
  ]);
  expect(harness.errors.length).toBeLessThan(ids.length);
  expect(await countRemovals(harness.loader.db)).toMatchObject({ refused: harness.errors.length });
  expect(await removeTombstoned(harness.loader)).toBe(ids.length - harness.errors.length);
  await harness.ask("update archive.tombstones set due_at = now() where due_at is not null");
  expect(await removeTombstoned(harness.loader)).toBe(harness.errors.length);
});

test("a policy removes what is too old, in the same order, and logs it", async () => {
  await using harness = await openHarness();
  await addLog(harness);
  await addLog(harness, jobId + 1);
  await hold(harness, true, jobId + 1);
  await changePolicy(harness.loader.db, { name: "acme", keepDays: 30 });
  expect(await applyPolicies(harness.loader)).toBe(0);
  await seal(harness);
  await harness.ask("update archive.retention_walk set round_ended_at = now() - interval '1 hour'");
  expect(await applyPolicies(harness.loader)).toBe(1);
  expect(await removeTombstoned(harness.loader)).toBe(0);
  await seal(harness);
  expect(await removeTombstoned(harness.loader)).toBe(1);
  expect([await isThere(harness), await isThere(harness, jobId + 1)]).toEqual([false, true]);
  const [first, last] = await readSeals(harness);
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
  /** 0: before the store's call. 1: after it. Otherwise: never. */
  crash: fc.integer({ min: 0, max: 4 }),
});

class Crash extends Error {}

/** A store that crashes its caller at one of its methods. */
function crashing<A extends unknown[], R>(at: number, call: (...args: A) => Promise<R>, concerns: (...args: A) => boolean) {
  return async (...args: A): Promise<R> => {
    if (!concerns(...args)) return call(...args);
    if (at === 0) throw new Crash();
    const result = await call(...args);
    if (at === 1) throw new Crash();
    return result;
  };
}

async function play(harness: Harness, { kind, job, crash }: Step, records: readonly string[]): Promise<void> {
  const id = jobId + job;
  const { db, store } = harness.loader;
  switch (kind) {
    case "erase":
      await eraseLog(db, id, "why");
      return;
    case "hold":
    case "release":
      await hold(harness, kind === "hold", id);
      return;
    case "seal": {
      const put = crashing(crash, store.put.bind(store), (key) => key.startsWith("seals/"));
      await seal(harness, withStore(harness, { put }));
      return;
    }
    case "remove":
      await removeTombstoned(withStore(harness, { remove: crashing(crash, store.remove.bind(store), (_key) => true) }));
      return;
    case "load":
      await loadRecords(harness.loader, [{ job_id: id, key: records[job] ?? "" }]);
      return;
    case "policy":
      await harness.ask("update archive.retention_walk set round_ended_at = now() - interval '1 hour'");
      await changePolicy(db, { name: "acme/app", keepDays: job === 0 ? 30 : 36_500 });
      await applyPolicies(harness.loader);
  }
}

/** Violations of what must hold after every step. */
async function listViolations(harness: Harness, held: ReadonlySet<number>): Promise<string[]> {
  const seals = await readSeals(harness);
  const carried = new Set(seals.flatMap(({ tombstones }) => tombstones.map(({ key }) => key)));
  const sealed = new Set(seals.flatMap(({ entries }) => entries.map(({ key }) => key)));
  const jobs = await harness.ask("select job_id, log_state, log_reason from audit.jobs");
  const violations = await Promise.all(
    jobs.map(async ({ job_id, log_state, log_reason }) => {
      const id = Number(job_id);
      const isGone = !(await isThere(harness, id));
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

test("with crashes, repeats and holds, no object is removed before its tombstone is in the store, and no held one", async () => {
  await using harness = await openHarness();
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      await harness.ask(
        "truncate archive.jobs, archive.steps, archive.logs, archive.annotations, archive.log_jobs, archive.objects, archive.seals, archive.tombstones, archive.holds, archive.retention_policies, archive.retention_walk cascade",
      );
      for (const kind of ["logs", "records", "seals"])
        await rm(join(fileURLToPath(harness.loader.store.url), kind), { recursive: true, force: true });
      const records = [await addLog(harness), await addLog(harness, jobId + 1)];
      const heldWhileThere = new Set<number>();
      for (const each of steps) {
        const id = jobId + each.job;
        try {
          if (each.kind === "release") heldWhileThere.delete(id);
          await play(harness, each, records);
        } catch (error) {
          // Refused with an error, or crashed.
          if (!(error instanceof Crash || (error instanceof PermanentError && error.code === "usage/invalid"))) throw error;
        }
        if (each.kind === "hold" && (await isThere(harness, id))) heldWhileThere.add(id);
        expect(await listViolations(harness, heldWhileThere)).toEqual([]);
      }
      // At the end every decided log that is not held is removed.
      for (const id of heldWhileThere) await hold(harness, false, id);
      await harness.ask("update archive.tombstones set due_at = now() where due_at is not null");
      await seal(harness);
      await seal(harness);
      await harness.ask("insert into archive.holds (job_id, is_held) select distinct job_id, false from archive.holds");
      await removeTombstoned(harness.loader);
      expect(await listViolations(harness, new Set())).toEqual([]);
      for (const { object_key } of await harness.ask("select object_key from archive.tombstones"))
        expect(await harness.loader.store.head(String(object_key))).toBeUndefined();
    }),
    { numRuns: 20 },
  );
}, 120_000);
