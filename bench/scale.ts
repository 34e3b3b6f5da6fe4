// The loader on a large archive: its speed against a COPY of the same rows, at the first and at the last 100,000 jobs of a year, and the
// disk space of a job. Fills the database that other benchmarks of scale query.
// npx pnpm exec node bench/scale.ts --database postgres://…/an_empty_one [--jobs 1000000] [--seed scale]

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";

import type { LogRecord } from "@actions-archive/archive/record/record";
import type { FoundRecord } from "@actions-archive/archive/record/records";
import { createLogger } from "@actions-archive/core/logger";
import { recordKey } from "@actions-archive/core/object-key";
import { openDatabase } from "@actions-archive/database/connection/open-database";
import { claimIdentity } from "@actions-archive/database/ledger/identity";
import { migrateDatabase } from "@actions-archive/database/migration/migrate";
import { hexOf } from "@actions-archive/github-simulator/random";
import { createBatcher, loadBatches } from "@actions-archive/loader/rows/batcher";
import { loadJobs } from "@actions-archive/loader/rows/load-jobs";
import { writeRecords } from "@actions-archive/loader/rows/write-records";
import { sql } from "kysely";
import { Client } from "pg";
import { from, to } from "pg-copy-streams";

import { type Figure, report } from "./support/report.ts";
import { addRepositories, addToLedger, repeatFirstPart } from "./support/scale-ledger.ts";
import { type GeneratedRun, generatePart, host } from "./support/scale-world.ts";

const { values: options } = parseArgs({
  options: {
    database: { type: "string", default: "" },
    jobs: { type: "string", default: "1000000" },
    seed: { type: "string", default: "scale" },
    "part-jobs": { type: "string", default: "100000" },
  },
});
const jobsPerPart = Number(options["part-jobs"]);
const shape = { seed: options.seed, parts: Number(options.jobs) / jobsPerPart, jobsPerPart };
/** Runs that the loader loads before COPY takes its turn. */
const runsOfTurn = 1_200;
let turns = 0;
const url = options.database;
const auditorTables = ["jobs", "steps", "logs", "sections", "action_uses", "annotations", "permissions", "log_facts"];

await migrateDatabase(url);
await using database = await openDatabase({ url, applicationName: "bench" });
const { db } = database;
const client = new Client({ connectionString: url });
await client.connect();
const log = createLogger("bench", "info");
const writer = { db, log };

const addJob = createBatcher<number>(loadBatches, (batch) => loadJobs(writer, batch));
const addRecord = createBatcher<FoundRecord>(loadBatches, (batch) => writeRecords(writer, batch));

type Side = { jobs: number; rows: number; loader: number; copy: number };
/** `live`: the ledger's job first, then its record. `rebuild`: records only, without a ledger. */
type Part = { live: Side; rebuild: Side };

async function measurePart(part: number): Promise<Part> {
  const none = { jobs: 0, rows: 0, loader: 0, copy: 0 };
  const spent = { live: { ...none }, rebuild: { ...none } };
  let runs: GeneratedRun[] = [];
  for (const run of generatePart(shape, part)) {
    runs.push(run);
    if (runs.length < runsOfTurn) continue;
    // Every fifth turn is a rebuild: its ledger is written after the rows are loaded.
    const side = spent[(turns += 1) % 5 === 0 ? "rebuild" : "live"];
    await takeTurn(runs, side, side === spent.rebuild);
    runs = [];
  }
  await takeTurn(runs, spent.live, false);
  return spent;
}

async function takeTurn(runs: readonly GeneratedRun[], side: Side, isRebuild: boolean): Promise<void> {
  const jobs = runs.flatMap((run) => run.jobs);
  const ids = jobs.map(({ ref }) => ref.job_id);
  const records = jobs.flatMap(({ record }) => (record === undefined ? [] : [readRecord({ ...record, schema_version: 1 })]));
  const loadAll = async () => {
    await Promise.all(ids.map(addJob));
    await Promise.all(records.map(addRecord));
  };
  if (!isRebuild) await addToLedger(db, runs);
  side.loader += await timed(isRebuild ? () => Promise.all(records.map(addRecord)) : loadAll);
  await copyRows(ids, side);
  side.jobs += isRebuild ? records.length : ids.length;
  if (!isRebuild) return;
  await addToLedger(db, runs);
  await loadAll();
}

function readRecord(record: LogRecord): FoundRecord {
  return { key: recordKey(host, record, 1), version: 1, size: 2_000, sha256: hexOf(64, "record", record.job_id), record };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/** The baseline: COPY of what the loader just wrote, as prepared text, into tables of the same columns without indexes. */
async function copyRows(jobIds: readonly number[], side: Side): Promise<void> {
  for (const table of auditorTables) {
    const chunks = await client
      .query(
        to(
          `copy (select ${columnsOf.get(table)} from archive.${table} where job_id = any('{${jobIds.join(",")}}') order by job_id) to stdout`,
        ),
      )
      .toArray();
    side.copy += await timed(async () => {
      const stream = client.query(from(`copy bare.${table} (${columnsOf.get(table)}) from stdin`));
      await pipeline(Readable.from(chunks), stream);
      side.rows += stream.rowCount;
    });
  }
}

async function measureBytes(): Promise<Figure[]> {
  // A partition's name ends in its first id.
  const { rows } = await sql<{ name: string; bytes: number; indexes: number }>`
    select regexp_replace(relname, '_\\d+$', '') as name, (sum(pg_total_relation_size(oid)) / jobs.count)::float8 as bytes,
      (sum(pg_indexes_size(oid)) / jobs.count)::float8 as indexes
    from pg_class cross join (select count(*) from archive.log_jobs) as jobs
    where relnamespace = 'archive'::regnamespace and relkind = 'r'
    group by 1, jobs.count having sum(pg_total_relation_size(oid)) > 1e6 order by 2 desc`.execute(db);
  const all = rows.reduce((sum, { bytes }) => sum + bytes, 0);
  return [
    { what: "bytes a job, all tables with indexes", measured: all },
    ...rows.flatMap(({ name, bytes, indexes }) => [
      { what: `${name}: bytes a job`, measured: bytes },
      { what: `${name}: of these, indexes`, measured: indexes },
    ]),
  ];
}

await claimIdentity(db, { archive_id: "7a8d3f1e-1d6c-4a53-9a59-2c8f8d6c1a11", host });
await addRepositories(db);
await client.query("create schema bare");
const columnsOf = new Map<string, string>();
for (const table of auditorTables) {
  // Generated columns are stored there too, and not copied.
  await client.query(`create table bare.${table} (like archive.${table} including generated)`);
  const { rows } = await client.query<{ names: string }>(
    `select string_agg(attname, ', ') as names from pg_attribute where attrelid = $1::regclass and attnum > 0 and attgenerated = ''`,
    [`bare.${table}`],
  );
  columnsOf.set(table, rows[0]?.names ?? "");
}
const first = await measurePart(0);
log.info(first, "first part");
await client.query("vacuum analyze");
for (let part = 1; part < shape.parts - 1; part++)
  log.info({ part, seconds: await timed(() => repeatFirstPart(client, shape, part)) }, "part repeated");
await client.query("vacuum analyze");
const last = shape.parts > 1 ? await measurePart(shape.parts - 1) : first;
log.info(last, "last part");
await client.query("drop schema bare cascade");
await client.query("vacuum analyze");
await client.end();
const sides = Object.entries({
  "first, live": first.live,
  "first, rebuild": first.rebuild,
  "last, live": last.live,
  "last, rebuild": last.rebuild,
});
report([
  ...sides.map(([what, { jobs, loader: seconds }]) => ({ what: `${what}: jobs a second`, measured: jobs / seconds })),
  ...sides.map(([what, { rows, loader: seconds }]) => ({ what: `${what}: rows a second`, measured: rows / seconds })),
  ...sides.map(([what, { copy, loader: seconds }]) => ({
    what: `${what}: ratio to COPY`,
    measured: copy / seconds,
    limit: { kind: "aim" as const, atLeast: 0.25 },
  })),
  ...(await measureBytes()),
]);
