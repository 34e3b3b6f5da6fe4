// The speed of `verify --against-database`: 20,000 generated jobs in a folder, in a sealed database that was rebuilt from it; without the
// verification of the store itself.
// npx pnpm exec node bench/verify-database.ts [--jobs 20000]

import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

import type { RunRecord } from "@actions-archive/archive/record/record";
import { canonicalBytes } from "@actions-archive/archive/store/canonical-bytes";
import { openFolderStore } from "@actions-archive/archive/store/folder/folder-store";
import { newSigner } from "@actions-archive/archive/test-support/seal-samples";
import { verifyArchive } from "@actions-archive/archive/verify/verify-archive";
import { verifyDatabase } from "@actions-archive/cli/verify/verify-database";
import { createLogger } from "@actions-archive/core/logger";
import { archiveIdentityKey, recordKey, runRecordKey } from "@actions-archive/core/object-key";
import { openDatabase } from "@actions-archive/database/connection/open-database";
import { rebuild } from "@actions-archive/loader/rebuild/rebuild";
import { sealArchive } from "@actions-archive/loader/seal/seal-archive";

import { report } from "./support/report.ts";
import { generatePart, host, repositories } from "./support/scale-world.ts";
import { openServers } from "./support/servers.ts";

const { values: options } = parseArgs({ options: { jobs: { type: "string", default: "20000" } } });
const identity = { archive_id: "7a8d3f1e-1d6c-4a53-9a59-2c8f8d6c1a11", host };
const sealIntervalSeconds = 3600;
const log = createLogger("bench", "warn");

await using servers = await openServers();
const root = join(servers.folder, "store");
const store = await openFolderStore(pathToFileURL(root));
await fillStore();
await using database = await openDatabase({ url: await servers.createDatabase(), applicationName: "bench", maxConnections: 5 });
const { db } = database;
const state = await rebuild({ db, store, log }, { publicKey: undefined, signal: new AbortController().signal });
const signer = newSigner();
while ((await db.selectFrom("archive.objects").select("object_key").where("sealed_in", "is", null).limit(1).execute()).length > 0)
  await sealArchive({ db, store, host, log, archiveId: identity.archive_id, signer });
const result = await verifyArchive(store, { keys: [signer.publicKey], isDeep: () => false, sealIntervalSeconds });
const began = performance.now();
const jobs = await verifyDatabase({ db, store, result, sealIntervalSeconds });
const seconds = (performance.now() - began) / 1000;
// The records name logs that this store does not contain.
const ofRows = result.findings.tampering.filter(({ key }) => !key.startsWith("logs/"));
report([
  { what: "jobs compared", measured: jobs },
  { what: "jobs in the database", measured: state.jobs },
  { what: "seconds", measured: seconds },
  { what: "jobs a second", measured: jobs / seconds },
  { what: "largest resident size, MiB", measured: process.resourceUsage().maxRSS / 1024 },
  { what: "findings, of none that were made", measured: ofRows.length, limit: { kind: "must", atMost: 0 } },
]);

async function fillStore(): Promise<void> {
  const names = new Map(repositories.map(({ repository_id, full_name }) => [repository_id, full_name]));
  await put(archiveIdentityKey, { ...identity, created_at: "2025-11-01T00:00:00.000Z", version: 1 });
  for (const { repository_id, run, jobs: ofRun } of generatePart(
    { seed: "verify", parts: 1, jobsPerPart: Number(options.jobs) },
    0,
  )) {
    for (const { ref, record } of ofRun)
      if (record !== undefined) await put(recordKey(host, ref, 1), { ...record, schema_version: 1 });
    for (const run_attempt of new Set(ofRun.map((job) => job.run_attempt))) {
      const own = ofRun.filter((job) => job.run_attempt === run_attempt);
      const repository = names.get(repository_id) ?? "";
      const record: RunRecord = {
        schema_version: 1,
        host,
        repository_id,
        repository,
        run_id: run.id,
        run_attempt,
        run: { ...run, run_attempt },
        run_received_at: "2026-11-01T00:00:00.000Z",
        job_ids: own.map(({ ref }) => ref.job_id),
        listed_jobs: own.length,
        jobs: own.map(({ ref, job }) => ({
          job_id: ref.job_id,
          objects: [job],
          source: "listing",
          received_at: "2026-11-01T00:00:00.000Z",
        })),
      };
      await put(runRecordKey(host, record), record);
    }
  }
}

async function put(key: string, value: object): Promise<void> {
  await mkdir(dirname(join(root, key)), { recursive: true });
  await writeFile(join(root, key), canonicalBytes(value));
}
