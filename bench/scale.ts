// The loader at the size of a large archive: how fast it writes rows against a bare COPY of the same rows, at the first and at the
// last 100,000 jobs of a year, and what a job costs on disk. The database it fills is what the other measurements of scale ask.
// DATABASE_URL=postgres://…/an_empty_database npx pnpm exec node bench/scale.ts [--jobs 1000000] [--seed scale]

import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";

import type { LogRecord } from "@actions-archive/archive/record";
import type { Store } from "@actions-archive/archive/store";
import { createLogger } from "@actions-archive/core/logger";
import { recordKey } from "@actions-archive/core/object-key";
import { claimIdentity } from "@actions-archive/database/identity";
import { migrateDatabase } from "@actions-archive/database/migrate";
import { openDatabase } from "@actions-archive/database/open-database";
import { hexOf } from "@actions-archive/github-simulator/random";
import { createBatcher, loadBatches } from "@actions-archive/loader/batcher";
import { loadJobs } from "@actions-archive/loader/load-jobs";
import { type ReadRecord, writeRecords } from "@actions-archive/loader/write-records";
import { sql } from "kysely";
import { Client } from "pg";
import { from, to } from "pg-copy-streams";

import { type Figure, report } from "./support/report.ts";
import { addRepositories, addToLedger, repeatFirstPart } from "./support/scale-ledger.ts";
import { type GeneratedRun, generatePart, host } from "./support/scale-world.ts";

const { values: options } = parseArgs({
  options: {
    jobs: { type: "string", default: "1000000" },
    seed: { type: "string", default: "scale" },
    "part-jobs": { type: "string", default: "100000" },
  },
});
const jobsPerPart = Number(options["part-jobs"]);
const shape = { seed: options.seed, parts: Number(options.jobs) / jobsPerPart, jobsPerPart };
/** What the loader loads before COPY takes its turn. */
const runsOfTurn = 1_200;
let turns = 0;
const url = process.env["DATABASE_URL"] ?? "";
const auditorTables = ["jobs", "steps", "logs", "sections", "action_uses", "annotations"];

await migrateDatabase(url);
await using database = await openDatabase({ url, applicationName: "bench" });
const { db } = database;
const client = new Client({ connectionString: url });
await client.connect();
// Nothing here is read from the store.
const loader = { db, store: undefined as unknown as Store, host, log: createLogger("bench", "warn") };

const addJob = createBatcher<number>(loadBatches, (batch) => loadJobs(loader, batch));
const addRecord = createBatcher<ReadRecord>(loadBatches, (batch) => writeRecords(loader, batch));

type Side = { jobs: number; rows: number; loader: number; copy: number };
/** `live`: the ledger's job first, its record later. `rebuild`: records alone, without a ledger. */
type Part = { live: Side; rebuild: Side };

async function measurePart(part: number): Promise<Part> {
  const none = { jobs: 0, rows: 0, loader: 0, copy: 0 };
  const spent = { live: { ...none }, rebuild: { ...none } };
  let runs: GeneratedRun[] = [];
  for (const run of generatePart(shape, part)) {
    runs.push(run);
    if (runs.length < runsOfTurn) continue;
    // Every fifth is a rebuild: of what it loads, the ledger is written after it.
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

function readRecord(record: LogRecord): ReadRecord {
  return { key: recordKey(host, record, 1), version: 1, sha256: hexOf(64, "record", record.job_id), record };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
}

/** The peer: what the loader just wrote, as text that is ready, by COPY into tables of the same columns without any index. */
async function copyRows(jobIds: readonly number[], side: Side): Promise<void> {
  for (const table of auditorTables) {
    const chunks = await client
      .query(to(`copy (select * from archive.${table} where job_id = any('{${jobIds.join(",")}}') order by job_id) to stdout`))
      .toArray();
    side.copy += await timed(async () => {
      const stream = client.query(from(`copy bare.${table} from stdin`));
      await pipeline(Readable.from(chunks), stream);
      side.rows += stream.rowCount;
    });
  }
}

async function measureBytes(): Promise<Figure[]> {
  const { rows } = await sql<{ name: string; bytes: number; indexes: number }>`
    select relname as name, pg_total_relation_size(oid)::bigint as bytes, pg_indexes_size(oid)::bigint as indexes
    from pg_class where relnamespace = 'archive'::regnamespace and relkind = 'r' and pg_total_relation_size(oid) > 1e6 order by 2 desc`.execute(
    db,
  );
  const {
    rows: [count],
  } = await sql<{ jobs: number }>`select count(*) as jobs from archive.jobs`.execute(db);
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
