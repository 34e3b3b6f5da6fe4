// Adopts a stored log without a record that GitHub no longer has: a worker crashed between writing the log and its record. The
// log is read completely and verified.

import { type Extraction, extractLog } from "@actions-archive/archive/log/facts/extraction";
import { readLogTotals } from "@actions-archive/archive/log/logs";
import type { ArchivedLog } from "@actions-archive/archive/record/record";
import type { ListedObject } from "@actions-archive/archive/store/store";
import { PermanentError } from "@actions-archive/core/errors";
import { conflictingLogKey, logKey } from "@actions-archive/core/object-key";
import type { LogJob } from "@actions-archive/database/ledger/log-jobs";

import { jobFacts } from "./job-facts.ts";
import type { LogWorker } from "./log-worker.ts";

/** The log's state and facts for the record. */
export type AdoptedLog = { readonly log: ArchivedLog; readonly facts: Extraction["facts"] };

/**
 * Finds the log that a crashed worker left. A conflicting log under a further key takes precedence over the job's own key: it was
 * downloaded later, and its record would have named it.
 * @returns undefined when there is none or all are damaged.
 */
export async function adoptStoredLog(worker: LogWorker, job: LogJob): Promise<AdoptedLog | undefined> {
  const own = logKey(worker.host, job);
  const conflicting: ListedObject[] = [];
  for await (const object of worker.store.list(own.slice(0, -"log.zst".length))) if (object.key !== own) conflicting.push(object);
  const newestFirst = conflicting.toSorted((a, b) => b.lastModified.getTime() - a.lastModified.getTime());
  for (const key of [...newestFirst.map((object) => object.key), own]) {
    const adopted = await adopt(worker, job, key);
    if (adopted !== undefined) return adopted;
  }
  return undefined;
}

async function adopt({ store, host, log }: LogWorker, job: LogJob, key: string): Promise<AdoptedLog | undefined> {
  const info = await store.head(key);
  if (info === undefined) return undefined;
  try {
    const version = { sizeBytes: info.sizeBytes, ...(info.versionId === undefined ? {} : { versionId: info.versionId }) };
    const totals = await readLogTotals(store, key, version);
    const isOwn = key === logKey(host, job);
    if (!isOwn && key !== conflictingLogKey(host, job, totals.rawSha256))
      throw new PermanentError("store/corrupt", `${key} in ${store.url} holds a log of SHA-256 ${totals.rawSha256}`);
    const { text, flags: textFlags, facts } = extractLog(totals, jobFacts(job.object));
    const flags = [...textFlags, "adopted" as const, ...(isOwn ? [] : (["changed_since"] as const))];
    const adopted: ArchivedLog = {
      state: "archived",
      flags: flags.toSorted(),
      key,
      version_id: info.versionId ?? null,
      raw_bytes: totals.rawBytes,
      raw_sha256: totals.rawSha256,
      stored_bytes: totals.storedBytes,
      stored_sha256: totals.storedSha256,
      ...text,
    };
    return { log: adopted, facts };
  } catch (error) {
    if (!(error instanceof PermanentError) || error.code !== "store/corrupt") throw error;
    log.error({ err: error, objectKey: key, jobId: job.job_id }, "damaged log without a record");
    return undefined;
  }
}
