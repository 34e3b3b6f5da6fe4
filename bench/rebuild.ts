// The speed of a rebuild: 20,000 generated jobs in a folder, into an empty Postgres with durable writes; and whether its tables equal those
// of a database that got the same jobs live.
// npx pnpm exec node bench/rebuild.ts [--jobs 20000] [--seed rebuild]

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import type { LogRecord, RunRecord } from "@actions-archive/archive/record/record";
import { canonicalBytes } from "@actions-archive/archive/store/canonical-bytes";
import { openFolderStore } from "@actions-archive/archive/store/folder/folder-store";
import { createLogger } from "@actions-archive/core/logger";
import { archiveIdentityKey, recordKey, runRecordKey } from "@actions-archive/core/object-key";
import { type Database, openDatabase } from "@actions-archive/database/connection/open-database";
import { claimIdentity } from "@actions-archive/database/ledger/identity";
import { rebuild } from "@actions-archive/loader/rebuild/rebuild";
import { createBatcher, loadBatches } from "@actions-archive/loader/rows/batcher";
import { loadJobs } from "@actions-archive/loader/rows/load-jobs";
import { loadRecords, type RecordToLoad } from "@actions-archive/loader/rows/load-records";
import { sql } from "kysely";

import { type Figure, report } from "./support/report.ts";
import { addRepositories, addToLedger } from "./support/scale-ledger.ts";
import { type GeneratedRun, generatePart, host, repositories } from "./support/scale-world.ts";
import { openServers } from "./support/servers.ts";

const { values: options } = parseArgs({
  options: { jobs: { type: "string", default: "20000" }, seed: { type: "string", default: "rebuild" } },
});
const identity = { archive_id: "7a8d3f1e-1d6c-4a53-9a59-2c8f8d6c1a11", host };
const nameOf = new Map(repositories.map(({ repository_id, full_name }) => [repository_id, full_name]));
const auditorTables = ["jobs", "steps", "logs", "sections", "action_uses", "annotations", "permissions", "log_facts"];
const log = createLogger("bench", "warn");

await using servers = await openServers();
const root = join(servers.folder, "store");
const store = await openFolderStore(pathToFileURL(root));
const runs = [...generatePart({ seed: options.seed, parts: 1, jobsPerPart: Number(options.jobs) }, 0)];
const toLoad: RecordToLoad[] = [];

await put(archiveIdentityKey, { ...identity, created_at: "2025-11-01T00:00:00.000Z", version: 1 });
for (const run of runs) {
  for (const record of runRecordsOf(run)) await put(runRecordKey(host, record), record);
  for (const { ref, record } of run.jobs) {
    if (record === undefined) continue;
    const key = recordKey(host, ref, 1);
    await put(key, { ...record, schema_version: 1 } satisfies LogRecord);
    toLoad.push({ job_id: ref.job_id, key });
  }
}

async function put(key: string, value: object): Promise<void> {
  await mkdir(dirname(join(root, key)), { recursive: true });
  await writeFile(join(root, key), canonicalBytes(value));
}

function runRecordsOf({ repository_id, run, jobs }: GeneratedRun): RunRecord[] {
  const attempts = Math.max(...jobs.map(({ run_attempt }) => run_attempt));
  return Array.from({ length: attempts }, (_, index) => {
    const run_attempt = index + 1;
    const own = jobs.filter((job) => job.run_attempt === run_attempt);
    return {
      schema_version: 1,
      host,
      repository_id,
      repository: nameOf.get(repository_id) ?? "",
      run_id: run.id,
      run_attempt,
      run: { ...run, run_attempt },
      run_received_at: "2026-11-01T00:00:00.000Z",
      job_ids: own.map(({ ref }) => ref.job_id),
      listed_jobs: own.length,
      jobs: own.map(({ ref, job, record }) => ({
        job_id: ref.job_id,
        objects: [job],
        source: "listing",
        received_at: record?.job_received_at ?? "2026-11-01T00:00:00.000Z",
      })),
    };
  });
}

/** Writes day by day, like the fetcher and the loader. */
async function loadAsItHappened(db: Database): Promise<void> {
  await claimIdentity(db, identity);
  await addRepositories(db);
  const loader = { db, store, host, log };
  for (let index = 0; index < runs.length; index += 500) await addToLedger(db, runs.slice(index, index + 500));
  const addJob = createBatcher<number>(loadBatches, (batch) => loadJobs(loader, batch));
  await Promise.all(runs.flatMap(({ jobs }) => jobs.map(({ ref }) => addJob(ref.job_id))));
  const addRecord = createBatcher<RecordToLoad>(loadBatches, (batch) => loadRecords(loader, batch));
  await Promise.all(toLoad.map(addRecord));
}

async function hashTable(db: Database, table: string): Promise<{ rows: number; hash: string }> {
  const { rows } = await sql<{ rows: number; hash: string }>`
    select count(*) as rows, coalesce(sum(hashtextextended((to_jsonb(t) - 'loaded_at')::text, 0)), 0)::text as hash
    from ${sql.table(`archive.${table}`)} as t`.execute(db);
  return rows[0] ?? { rows: 0, hash: "" };
}

await using happened = await openDatabase({ url: await servers.createDatabase(), applicationName: "bench" });
await using rebuilt = await openDatabase({ url: await servers.createDatabase(), applicationName: "bench", maxConnections: 5 });
const cpuBefore = process.cpuUsage();
const state = await rebuild({ db: rebuilt.db, store, log }, { publicKey: undefined, signal: new AbortController().signal });
const cpu = process.cpuUsage(cpuBefore);
const began = performance.now();
await loadAsItHappened(happened.db);
const happenedSeconds = (performance.now() - began) / 1000;
const different: string[] = [];
const figures: Figure[] = [
  { what: "jobs", measured: state.jobs },
  { what: "objects read", measured: state.objects_read },
  { what: "seconds", measured: state.seconds },
  { what: "jobs a second", measured: state.jobs / state.seconds },
  { what: "as it happened (ledger, rows, records): jobs a second", measured: state.jobs / happenedSeconds },
  { what: "ms of our processor time a job", measured: (cpu.user + cpu.system) / 1000 / state.jobs },
];
for (const table of auditorTables) {
  const [one, other] = [await hashTable(happened.db, table), await hashTable(rebuilt.db, table)];
  figures.push({ what: `rows of ${table}`, measured: other.rows });
  if (one.rows !== other.rows || one.hash !== other.hash) different.push(`${table}: ${one.rows}, rebuilt ${other.rows}`);
}
figures.push({ what: "tables that differ", measured: different.length, limit: { kind: "must", atMost: 0 } });
report(figures);
for (const table of different) process.stdout.write(`${table}\n`);
