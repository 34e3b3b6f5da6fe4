// Reads the job list of a listed attempt once more, a day later. A list that was short for hours, and counted short, is contradicted by
// nothing else: GitHub's searches were incomplete for days in 2021-03 and 2022-04 (dawidd6/action-download-artifact#56).

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

/** In one poll. A token's ETag holds, and the answer is free; an App's token is another one a day later, and each costs a request. */
const maxConfirmations = 20;

/**
 * Confirms the attempts of a repository that are due, oldest first, at most 20 of them. Idempotent.
 * @returns whether one of them is open again.
 * @throws the client's errors that are no matter of one run.
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
    // Of an old run, 404 is no news; and what is deleted since was archived.
    if (list === undefined) return "unanswered";
    const recorded = await listRecordedJobs(db, attempt);
    const unrecorded = list.jobs.filter(({ id, status }) => status === "completed" && !recorded.has(id)).map(({ id }) => id);
    if (unrecorded.length === 0 && list.unusable.length === 0) return list.isWhole ? "confirmed" : "unanswered";
    const context = { repository, runId: attempt.run_id, attempt: attempt.run_attempt, jobs: unrecorded.slice(0, 3) };
    log.warn(context, "a second job list shows more than the first: attempt reopened");
    return "contradicted";
  } catch (error) {
    if (isFromOneAttempt(error)) return "unanswered";
    throw error;
  }
}
