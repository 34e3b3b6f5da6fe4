// The loader at the size of a large archive: how fast it writes rows against a bare COPY of the same rows, at the first and at the
// last 100,000 jobs of a year, and what a job costs on disk. The database it fills is what the other measurements of scale ask.
// DATABASE_URL=postgres://…/an_empty_database npx pnpm exec node bench/scale.ts [--jobs 1000000] [--seed scale]

import { parseArgs } from "node:util";
import { once } from "node:events";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

import type { LogRecord } from "@actions-archive/archive/record";
import type { Store } from "@actions-archive/archive/store";
import { createLogger } from "@actions-archive/core/logger";
import { recordKey } from "@actions-archive/core/object-key";
import { claimIdentity } from "@actions-archive/database/identity";
import { migrateDatabase } from "@actions-archive/database/migrate";
import { openDatabase } from "@actions-archive/database/open-database";
import { hexOf } from "@actions-archive/github-simulator/random";
import { loadJobs } from "@actions-archive/loader/load-jobs";
import { type ReadRecord, writeRecords } from "@actions-archive/loader/write-records";
import { sql } from "kysely";
import { Client } from "pg";
import { from, to } from "pg-copy-streams";

import { type Figure, report } from "./support/report.ts";
import { addRepositories, addToLedger, repeatFirstPart } from "./support/scale-ledger.ts";
import { type GeneratedRun, generatePart, host } from "./support/scale-world.ts";

const { values: options } = parseArgs({
  options: { jobs: { type: "string", default: "1000000" }, seed: { type: "string", default: "scale" }, "part-jobs": { type: "string", default: "100000" }, batch: { type: "string", default: "200" } },
});
const jobsPerPart = Number(options["part-jobs"]);
const shape = { seed: options.seed, parts: Number(options.jobs) / jobsPerPart, jobsPerPart };
const batchSize = Number(options.batch);
/** Jobs that one side loads before the other takes its turn. */
const turn = 2_000;
const url = process.env["DATABASE_URL"] ?? "";
const auditorTables = ["jobs", "steps", "logs", "sections", "action_uses", "annotations"];

await migrateDatabase(url);
await using database = await openDatabase({ url, applicationName: "bench" });
const { db } = database;
const client = new Client({ connectionString: url });
await client.connect();
// Nothing here is read from the store.
const loader = { db, store: undefined as unknown as Store, host, log: createLogger("bench", "warn") };

type Seconds = { jobs: number; records: number; copy: number; rows: number };

async function measurePart(part: number): Promise<Seconds> {
  const spent = { jobs: 0, records: 0, copy: 0, rows: 0 };
  let runs: GeneratedRun[] = [];
  let waiting = 0;
  const take = async () => {
    await addToLedger(db, runs);
    const jobs = runs.flatMap((run) => run.jobs);
    const ids = jobs.map(({ ref }) => ref.job_id);
    const records = jobs.flatMap(({ record }) => (record === undefined ? [] : [readRecord({ ...record, schema_version: 1 })]));
    for (const batch of batchesOf(ids)) spent.jobs += await timed(() => loadJobs(loader, batch));
    for (const batch of batchesOf(records)) spent.records += await timed(() => writeRecords(loader, batch));
    const copied = await copyRows(ids);
    spent.copy += copied.seconds;
    spent.rows += copied.rows;
    runs = [];
    waiting = 0;
  };
  for (const run of generatePart(shape, part)) {
    runs.push(run);
    waiting += run.jobs.length;
    if (waiting >= turn) await take();
  }
  if (waiting > 0) await take();
  return spent;
}

function readRecord(record: LogRecord): ReadRecord {
  return { key: recordKey(host, record, 1), version: 1, sha256: hexOf(64, "record", record.job_id), record };
}

function batchesOf<T>(items: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / batchSize) }, (_, index) => items.slice(index * batchSize, (index + 1) * batchSize));
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/** The peer: what the loader just wrote, as text that is ready, by COPY into tables of the same columns without any index. */
async function copyRows(jobIds: readonly number[]): Promise<{ seconds: number; rows: number }> {
  let seconds = 0;
  let rows = 0;
  for (const table of auditorTables) {
    const chunks = await client
      .query(to(`copy (select * from archive.${table} where job_id = any('{${jobIds.join(",")}}') order by job_id) to stdout`))
      .toArray();
    seconds += await timed(async () => {
      const stream = client.query(from(`copy bare.${table} from stdin`));
      await pipeline(Readable.from(chunks), stream);
      rows += stream.rowCount;
    });
  }
  return { seconds, rows };
}

async function measureBytes(): Promise<Figure[]> {
  const { rows } = await sql<{ name: string; bytes: number; indexes: number }>`
    select relname as name, pg_total_relation_size(oid)::bigint as bytes, pg_indexes_size(oid)::bigint as indexes
    from pg_class where relnamespace = 'archive'::regnamespace and relkind = 'r' and pg_total_relation_size(oid) > 1e6 order by 2 desc`.execute(db);
  const { rows: [count] } = await sql<{ jobs: number }>`select count(*) as jobs from archive.jobs`.execute(db);
  return rows.flatMap(({ name, bytes, indexes }) => [
    { what: `bytes a job, ${name}`, measured: bytes / (count?.jobs ?? 0) },
    { what: `  of that indexes`, measured: indexes / (count?.jobs ?? 0) },
  ]);
}

await claimIdentity(db, { archive_id: "7a8d3f1e-1d6c-4a53-9a59-2c8f8d6c1a11", host });
await addRepositories(db);
await client.query("create schema bare");
for (const table of auditorTables) await client.query(`create table bare.${table} (like archive.${table})`);
const first = await measurePart(0);
console.log(first);
await client.query("vacuum analyze");
for (let part = 1; part < shape.parts - 1; part++) console.log(part, await timed(() => repeatFirstPart(db, shape, part)));
await client.query("vacuum analyze");
const last = shape.parts > 1 ? await measurePart(shape.parts - 1) : first;
console.log(last);
await client.query("drop schema bare cascade");
await client.query("vacuum analyze");
await client.end();
const perSecond = (part: Seconds) => jobsPerPart / (part.jobs + part.records);
report([
  { what: "rows of a job", measured: last.rows / jobsPerPart },
  { what: "jobs a second, first part", measured: perSecond(first) },
  { what: "jobs a second, last part", measured: perSecond(last) },
  { what: "ratio to COPY, first part", measured: first.copy / (first.jobs + first.records), limit: { kind: "aim", atLeast: 0.25 } },
  { what: "ratio to COPY, last part", measured: last.copy / (last.jobs + last.records), limit: { kind: "aim", atLeast: 0.25 } },
  ...(await measureBytes()),
]);
