// Checks jobs whose logs are not in a terminal state: they have rows but no record, and often no run record yet.

import { findRunRecord } from "@actions-archive/archive/record/records";
import { isCorrupt } from "@actions-archive/archive/store/store";
import { listRecentJobs, type RecentJob } from "@actions-archive/database/verify/compare-rows";

import type { Comparison } from "./comparison.ts";
import { rowName } from "./database-check.ts";

const pageLength = 10_000;
/** A run can be re-run 50 times: https://docs.github.com/actions/reference/limits */
const maxAttempts = 51;

/** Reports jobs that the store contradicts, and counts those that only the ledger has. */
export async function verifyUnrecordedJobs(comparison: Comparison): Promise<void> {
  const { db, findings, signal, recordless, strangers } = comparison;
  let [unrecorded, ofLedger] = [0, 0];
  for (let after = 0; ;) {
    signal?.throwIfAborted();
    const page = await listRecentJobs(db, after, pageLength);
    for (const job of page) {
      if (strangers.has(job.job_id)) continue;
      const problem = await findContradiction(comparison, job);
      if (problem !== undefined) findings.tamper("unexpected", rowName("jobs", job.job_id), problem);
      else if (recordless.has(job.job_id)) unrecorded += 1;
      else ofLedger += 1;
    }
    const last = page.at(-1);
    if (!last || page.length < pageLength) break;
    after = last.job_id;
  }
  if (unrecorded > 0)
    findings.notice(
      "not compared",
      "archive.jobs",
      `${unrecorded} jobs have no record yet: their rows are compared with run records`,
    );
  if (ofLedger > 0)
    findings.notice(
      "unsealed",
      "archive.jobs",
      `${ofLedger} jobs have rows of the ledger alone, and no object of the store is of them yet`,
    );
}

async function findContradiction(comparison: Comparison, job: RecentJob): Promise<string | undefined> {
  const { store, result, recordless } = comparison;
  const { log_state, record_key, first_seen_at } = job;
  const isThere =
    record_key !== null && (result.index.find(record_key) !== undefined || (await store.head(record_key)) !== undefined);
  if ((log_state === "archived" || log_state === "absent") && !isThere)
    return `its log is ${log_state} by the ledger, and no record of it is in the store`;
  if (recordless.has(job.job_id) || isThere || first_seen_at === null) return undefined;
  const run = await findLaterRunRecord(comparison, job, first_seen_at);
  return run === undefined
    ? undefined
    : `the ledger knew it at ${first_seen_at.toISOString()}, and the run record ${run}, which is younger, does not hold it`;
}

// A run record has every job of its attempt that the ledger had when it was written.
async function findLaterRunRecord({ store, result }: Comparison, job: RecentJob, firstSeenAt: Date): Promise<string | undefined> {
  const host = result.chain.head?.host;
  if (host === undefined) return undefined;
  const last = Math.min(job.last_listed_attempt, job.run_attempt + maxAttempts);
  for (let run_attempt = job.run_attempt; run_attempt <= last; run_attempt += 1) {
    const { repository_id, run_id } = job;
    try {
      const found = await findRunRecord(store, host, { repository_id, run_id, run_attempt });
      if (found === undefined || new Date(found.record.run_received_at) <= firstSeenAt) continue;
      if (!found.record.job_ids.includes(job.job_id)) return found.key;
    } catch (error) {
      if (!isCorrupt(error)) throw error;
    }
  }
  return undefined;
}
