// Rows are in the partition of their job's id, and are removed with it from ledger, coverage and gaps.

import { openTestDatabase } from "@actions-archive/testkit/test-database";
import fc from "fast-check";
import { expect, test } from "vitest";

import { addLedger, addRun, jobIdOf, type JobRow, setRepository } from "../../test-support/ledger.ts";
import { jobObject, repositoryId } from "../../test-support/samples.ts";
import { transact } from "../connection/open-database.ts";
import { addWindow } from "../ledger/windows.ts";
import { makePartitions } from "./partitions.ts";
import { upsertJobs } from "./rows.ts";

const horizon = "2025-03-01T00:00:00Z";
const settled = { attempt: 1, state: "archived" } as const;

async function openHarness() {
  const { db, pool, [Symbol.asyncDispose]: dispose } = await openTestDatabase();
  const ask = async (query: string) => (await pool.query<Record<string, unknown>>(query)).rows;
  await addLedger(db, repositoryId, "acme/app");
  const since = new Date("2025-01-01T00:00:00Z");
  await setRepository(db, repositoryId, { archive_since: since });
  await addWindow(db, repositoryId, { start: since, end: new Date() });
  return {
    db,
    ask,
    /** A run with its jobs in the ledger and their rows. */
    async addRun(run_id: number, created: string, jobs: readonly JobRow[] = [settled]) {
      await addRun(db, repositoryId, { run_id, createdAt: new Date(created), attempts: [{ state: "listed" }], jobs });
      await ask(`update archive.attempts set record_key = 'runs/' || run_id`);
      const story = { repository_id: repositoryId, run_attempt: 1, last_listed_attempt: 1 };
      const objects = jobs.map((_job, index) => jobObject({ id: jobIdOf(run_id, index), run_id, created_at: created }));
      await transact(db, (trx) =>
        upsertJobs(
          trx,
          objects.map((object) => ({ ...story, object })),
        ),
      );
    },
    remove: (before: string) => ask(`select runs, jobs, closed_gaps from archive.remove_runs_before('${before}')`),
    gaps: () => ask("select kind, run_id, job_id from audit.gaps order by kind, run_id"),
    partitions: async () =>
      (
        await ask(
          "select inhrelid::regclass::text as name from pg_inherits where inhparent = 'archive.jobs'::regclass order by 1",
        )
      ).map(({ name }) => name),
    [Symbol.asyncDispose]: () => dispose(),
  };
}

test("every id is in one partition, a tenth to a twenty-fifth as wide as the id is large", async () => {
  await using harness = await openHarness();
  const ids = fc.sample(
    fc.tuple(fc.integer({ min: 0, max: 52 }), fc.nat()).map(([bits, some]) => 2 ** bits + (some % 2 ** bits)),
    2_000,
  );
  const rows = await harness.ask(`
    select job_id, archive.partition_start(job_id) as first, archive.partition_width(job_id) as width,
      archive.partition_start(archive.partition_start(job_id) + archive.partition_width(job_id) - 1) as of_last,
      archive.partition_start(archive.partition_start(job_id) + archive.partition_width(job_id)) as next
    from unnest('{1,99999,100000,999999,1000000,${ids.join(",")}}'::bigint[]) as job_id`);
  for (const { job_id, first, width, of_last, next } of rows as Record<string, number>[]) {
    if (job_id === undefined || first === undefined || width === undefined) throw new Error("no row");
    expect(first).toBeLessThanOrEqual(job_id);
    expect(first + width).toBeGreaterThan(job_id);
    expect([of_last, next]).toEqual([first, first + width]);
    expect(job_id < 1_000_000 || job_id / width >= 10).toBe(true);
    expect(job_id / width).toBeLessThan(25);
  }
});

test("many writers make the partitions that they need, each once", async () => {
  await using harness = await openHarness();
  const ids = [5, 150_000, 61_901_817_921, 64_999_999_999, 65_000_000_000];
  await Promise.all(ids.flatMap((id) => [id, id]).map((id) => transact(harness.db, (trx) => makePartitions(trx, [id, 5]))));
  expect(await harness.partitions()).toEqual(
    ["0", "100000", "60000000000", "65000000000"].map((first) => `archive.jobs_${first}`),
  );
});

test("removed runs are neither rows, nor coverage, nor gaps, and are not looked for again", async () => {
  await using harness = await openHarness();
  await harness.addRun(600_000, "2025-01-10T00:00:00Z", [settled, { ...settled, state: "absent", reason: "deleted" }]);
  await harness.addRun(900_000, "2025-03-10T00:00:00Z");
  expect(await harness.remove(horizon)).toEqual([{ runs: 1, jobs: 2, closed_gaps: 0 }]);
  expect(await harness.ask("select run_id from audit.jobs")).toEqual([{ run_id: 900_000 }]);
  expect(await harness.partitions()).toEqual(["archive.jobs_90000000"]);
  expect(await harness.gaps()).toEqual([]);
  expect(
    await harness.ask(
      "select min(window_start) as start, sum(runs_found)::int as runs, bool_and(complete) as complete from audit.coverage",
    ),
  ).toEqual([{ start: new Date(horizon), runs: 1, complete: true }]);
  expect(await harness.ask("select archive_since from archive.repositories")).toEqual([{ archive_since: new Date(horizon) }]);
  expect(await harness.ask("select runs_before, runs, jobs from audit.removals")).toEqual([
    { runs_before: new Date(horizon), runs: 1, jobs: 2 },
  ]);
  expect(await harness.remove(horizon)).toEqual([{ runs: 0, jobs: 0, closed_gaps: 0 }]);
});

test("a job that was re-run after the horizon keeps its partition", async () => {
  await using harness = await openHarness();
  await harness.addRun(600_000, "2025-01-10T00:00:00Z");
  await harness.addRun(600_001, "2025-03-10T00:00:00Z");
  await harness.remove(horizon);
  expect(await harness.ask("select run_id from audit.jobs order by 1")).toEqual([{ run_id: 600_000 }, { run_id: 600_001 }]);
  expect(await harness.ask("select run_id from archive.runs")).toEqual([{ run_id: 600_001 }]);
  expect(await harness.gaps()).toEqual([]);
});

test.each([
  { what: "a pending log", job: { attempt: 1, state: "pending" } },
  { what: "a failed log", job: { attempt: 1, state: "failed", reason: "forbidden" } },
  { what: "rows that are owed", job: { ...settled, loaded: false } },
  { what: "a log without a record", job: { ...settled, recorded: false } },
] satisfies { what: string; job: JobRow }[])("nothing is removed while $what is older than the horizon", async ({ job }) => {
  await using harness = await openHarness();
  await harness.addRun(600_000, "2025-01-10T00:00:00Z", [job]);
  await harness.addRun(700_000, "2025-01-11T00:00:00Z");
  await expect(harness.remove(horizon)).rejects.toThrow(
    /^1 jobs, runs or backfills from before .* are still owed: nothing is removed$/,
  );
  expect(await harness.ask("select from audit.jobs")).toHaveLength(2);
});

test("nothing is removed while an attempt is open, or could be re-run", async () => {
  await using harness = await openHarness();
  await harness.addRun(600_000, "2025-01-10T00:00:00Z");
  await harness.ask("update archive.attempts set state = 'open'");
  await expect(harness.remove(horizon)).rejects.toThrow("still owed");
  await expect(harness.remove(new Date().toISOString())).rejects.toThrow("Runs younger than 36 days");
  expect(await harness.ask("select from audit.jobs")).toHaveLength(1);
});

test("a role that does not own the tables cannot remove rows", async () => {
  await using harness = await openHarness();
  await expect(
    harness.ask(`begin; set local role actions_archive_auditor; select archive.remove_runs_before('${horizon}')`),
  ).rejects.toThrow("permission denied");
});
