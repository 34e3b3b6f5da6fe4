// An auditor's locks block neither loading nor sealing nor removal nor a migration.

import { migrateDatabase } from "@actions-archive/database/migration/migrate";
import { openAuditor } from "@actions-archive/database/test-support/access";
import { jobId } from "@actions-archive/database/test-support/samples";
import { expect, test, vi } from "vitest";

import { seal } from "../test-support/filled-store.ts";
import { archived, openHarness } from "../test-support/harness.ts";
import { rereadLog } from "./reread/reread-log.ts";
import { loadRecords } from "./rows/load-records.ts";
import { makeBlockerReport } from "./seal/report-blockers.ts";

/** Kysely's id for its advisory lock around migrations. */
const kyselyLock = "3853314791062309107";
const names = ["seals", "sealing", "removal", "views", "rebuild"];

test.each([undefined, ["acme"]])("advisory locks of an auditor of %j hold nothing up", async (owners) => {
  await using harness = await openHarness();
  await using auditor = await openAuditor(harness.database, owners);
  await auditor.ask("set default_transaction_read_only = off");
  for (const name of names) await auditor.ask(`select pg_advisory_lock(hashtext('actions-archive ${name}'))`);
  await auditor.ask(`select pg_advisory_lock(${kyselyLock})`);
  const id = jobId * 7;
  await auditor.ask(`select pg_advisory_lock(hashtextextended('actions-archive reread ${id}', 0))`);

  // A job of a partition that does not exist yet.
  await harness.owe({ id });
  await loadRecords(harness.loader, [{ job_id: id, key: await harness.record(id, archived(id)) }]);
  await seal(harness);
  expect(await harness.ask("select sequence::integer, published_at is not null as published from archive.seals")).toEqual([
    { sequence: 1, published: true },
  ]);
  await harness.ask("set lock_timeout = '5s'; select archive.remove_runs_before('2020-01-01')");
  expect(await rereadLog(harness.loader, id, { isForced: true })).not.toEqual({ outcome: "busy" });
  expect(await migrateDatabase(harness.database.url)).toEqual([]);
});

test.each([
  "select from archive.locks for update",
  "select from archive.locks",
  "lock table archive.locks in access exclusive mode",
  "lock table archive.migrations_lock in access share mode",
  "select from archive.migrations_lock for update",
  "lock table audit.seals in exclusive mode",
  "select from audit.removals for update",
  "update archive.locks set name = name",
])("an auditor is refused: %s", async (statement) => {
  await using harness = await openHarness();
  await using auditor = await openAuditor(harness.database, ["acme"]);
  await auditor.ask("set default_transaction_read_only = off");
  await expect(auditor.ask(`begin; ${statement}`)).rejects.toThrow(/permission denied/);
});

test("a session that blocks the loader is logged once, with its role and application", async () => {
  await using harness = await openHarness();
  await using auditor = await openAuditor(harness.database);
  const { pool } = harness.database;
  await pool.query(`grant usage on schema archive to ${auditor.name}; grant select, update on archive.locks to ${auditor.name}`);
  await auditor.ask("set default_transaction_read_only = off; set application_name = 'a psql left open'");
  await auditor.ask("begin; select from archive.locks for update");
  const blocked = await pool.connect();
  await blocked.query("set application_name = 'actions-archive loader'; set lock_timeout = '60s'");
  const waiting = blocked.query("select from archive.locks for update");
  const warnings: unknown[] = [];
  const log = Object.assign(Object.create(harness.loader.log) as typeof harness.loader.log, {
    warn: (fields: unknown, message: string) => warnings.push({ ...(fields as object), message }),
  });
  const report = makeBlockerReport({ db: harness.loader.db, log });
  await vi.waitFor(
    async () => {
      await report();
      expect(warnings).toHaveLength(1);
    },
    { timeout: 30_000, interval: 500 },
  );
  await report();
  expect(warnings).toMatchObject([
    {
      message: "database work blocked",
      blocked: "actions-archive loader",
      blockingRole: auditor.name,
      blockingApplication: "a psql left open",
    },
  ]);
  await auditor.ask("rollback");
  await waiting;
  blocked.release(true);
});
