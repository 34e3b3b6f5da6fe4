// Reads the job list of a listed attempt again a day later. A list that was incomplete for hours with a matching total_count is
// detected only this way: GitHub's searches were incomplete for days in 2021-03 and 2022-04
// (dawidd6/action-download-artifact#56).

import {
  type Confirmation,
  finishConfirmation,
  listAttemptsToConfirm,
  listRecordedJobs,
  type ListedAttempt,
} from "@actions-archive/database/ledger/confirmations";

import type { Fetcher } from "../fetcher.ts";
import type { ListedRepository } from "../runs/record-page.ts";
import { isFromOneAttempt } from "./check-attempt.ts";
import { relistAttemptJobs } from "./list-attempt-jobs.ts";

/**
 * The maximum of one poll. With a token the ETag stays valid and a 304 is free; an App's token changes within a day, so each
 * confirmation costs a request.
 */
const maxConfirmations = 20;

/**
 * Confirms the attempts of a repository that are due, oldest first, at most 20. Idempotent.
 * @returns whether an attempt was reopened.
 * @throws the client's errors that do not concern one run only.
 */
export async function confirmAttempts(
  fetcher: Fetcher,
  repository: ListedRepository,
  { signal, over }: { readonly signal: AbortSignal; readonly over: AbortSignal | undefined },
): Promise<boolean> {
  let isReopened = false;
  for (const attempt of await listAttemptsToConfirm(fetcher.db, repository.repository_id, maxConfirmations)) {
    over?.throwIfAborted();
    const confirmation = await confirmAttempt(fetcher, repository, attempt, signal);
    await finishConfirmation(fetcher.db, attempt, confirmation);
    isReopened ||= confirmation === "contradicted";
  }
  return isReopened;
}

async function confirmAttempt(
  { db, github, log }: Fetcher,
  { full_name: repository }: ListedRepository,
  attempt: ListedAttempt,
  signal: AbortSignal,
): Promise<Confirmation> {
  const request = { repository, runId: attempt.run_id, runAttempt: attempt.run_attempt, signal };
  try {
    const list = await relistAttemptJobs(github, request, attempt.jobs_etag);
    if (list === "unchanged") return "confirmed";
    // A 404 for an old run allows no conclusion, and a run deleted since was archived before.
    if (list === undefined) return "unanswered";
    const recorded = await listRecordedJobs(db, attempt);
    const unrecorded = list.jobs.filter(({ id, status }) => status === "completed" && !recorded.has(id)).map(({ id }) => id);
    if (unrecorded.length === 0 && list.unusable.length === 0) return list.isWhole ? "confirmed" : "unanswered";
    const context = { repository, runId: attempt.run_id, attempt: attempt.run_attempt, jobs: unrecorded.slice(0, 3) };
    log.warn(context, "attempt reopened: the second job list has more jobs than the first");
    return "contradicted";
  } catch (error) {
    if (isFromOneAttempt(error)) return "unanswered";
    throw error;
  }
}
