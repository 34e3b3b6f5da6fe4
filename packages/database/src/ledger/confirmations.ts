// Listed attempts whose jobs are listed again a day later. Nothing waits for it: an attempt stays listed unless the second list
// contradicts the first.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";

export type ListedAttempt = { run_id: number; run_attempt: number; jobs_etag: string | null };

/** GitHub may refuse an answer for days; after this time none is expected. */
const maxConfirmDays = 7;

/**
 * Attempts of a repository whose confirmation is due, oldest first. None while over half of the credential's limit is used: a request
 * with a stale ETag costs one, and new jobs come first.
 */
export async function listAttemptsToConfirm(db: Database, repositoryId: number, limit: number): Promise<ListedAttempt[]> {
  const { rows } = await sql<ListedAttempt>`
    select run_id, run_attempt, jobs_etag
    from archive.attempts
    where repository_id = ${repositoryId} and state = 'listed' and confirm_due_at <= now()
      and not exists (
        select from archive.repositories join archive.credentials using (credential)
        where repositories.repository_id = ${repositoryId} and reset_at > now() and used + unread > limit_per_hour / 2
      )
    order by confirm_due_at
    limit ${limit}
  `.execute(db);
  return rows;
}

/**
 * - `confirmed`: the second list shows nothing new. It is not listed again.
 * - `contradicted`: the attempt is open again, and due now.
 * - `unanswered`: it is listed again a day later, for a week.
 */
export type Confirmation = "confirmed" | "contradicted" | "unanswered";

/** Records the result of a confirmation. An attempt that is no longer listed is unchanged. */
export async function finishConfirmation(
  db: Database,
  { run_id, run_attempt }: { readonly run_id: number; readonly run_attempt: number },
  confirmation: Confirmation,
): Promise<void> {
  const nextDay = sql<Date | null>`case when listed_at > now() - make_interval(days => ${maxConfirmDays}) then now() + interval '1 day' end`;
  await db
    .updateTable("archive.attempts")
    .set({
      confirm_due_at: confirmation === "unanswered" ? nextDay : null,
      ...(confirmation === "contradicted" ? { state: "open", check_due_at: sql<Date>`now()`, sealed_in: null } : {}),
    })
    .where("run_id", "=", run_id)
    .where("run_attempt", "=", run_attempt)
    .where("state", "=", "listed")
    .execute();
}

/** Ids of a run's completed jobs in the ledger for this attempt. */
export async function listRecordedJobs(
  db: Database,
  { run_id, run_attempt }: { readonly run_id: number; readonly run_attempt: number },
): Promise<ReadonlySet<number>> {
  const rows = await db
    .selectFrom("archive.log_jobs")
    .select("job_id")
    .where("run_id", "=", run_id)
    .where("run_attempt", "<=", run_attempt)
    .where("last_listed_attempt", ">=", run_attempt)
    .execute();
  return new Set(rows.map(({ job_id }) => job_id));
}
