// Writes the run record of a listed attempt: the run as GitHub showed it, and its final job list.

import type { RunRecord } from "@actions-archive/archive/record/record";
import { putRunRecord } from "@actions-archive/archive/record/records";
import { transact } from "@actions-archive/database/connection/open-database";
import { recordObjects } from "@actions-archive/database/ledger/objects";
import { findListedAttempt, markAttemptRecorded } from "@actions-archive/database/ledger/recorded-attempts";

import type { Loader } from "../loader.ts";

/** Writes the record once, and its key into the ledger. Idempotent. */
export async function loadRun(
  { db, store, host, log }: Loader,
  attempt: { readonly run_id: number; readonly run_attempt: number },
): Promise<void> {
  const story = await findListedAttempt(db, attempt);
  if (story === undefined) return;
  const ref = { repository_id: story.repository_id, ...attempt };
  const { key, size, sha256 } = await putRunRecord(store, host, ref, {
    host,
    ...ref,
    repository: story.full_name,
    // The ledger has objects as JSON, as received.
    run: (story.object ?? {}) as RunRecord["run"],
    run_received_at: story.listed_at.toISOString(),
    job_ids: story.jobs.map(({ job_id }) => job_id),
    listed_jobs: story.listed_jobs,
    ...(story.missing_job_ids.length > 0 ? { missing_job_ids: story.missing_job_ids } : {}),
    jobs: story.jobs.map(({ received_at, ...job }) => ({ ...job, received_at: received_at.toISOString() })) as RunRecord["jobs"],
  });
  await transact(db, async (trx) => {
    await recordObjects(trx, [{ key, version_id: null, size, sha256 }]);
    await markAttemptRecorded(trx, attempt, key);
  });
  log.debug({ runId: attempt.run_id, attempt: attempt.run_attempt, objectKey: key }, "run recorded");
}
