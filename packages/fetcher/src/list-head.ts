// The first page of a repository's run list, asked for at every poll by the same URL: when nothing changed, GitHub answers 304,
// which costs nothing of the limit. It also shows what became of the newest runs, re-runs included.
// https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate

import type { WorkflowRun } from "@actions-archive/github/schemas";
import { listNewestRuns } from "@actions-archive/github/workflow-runs";

import { afterSecond, isNewestFirst, type Listing, oldestSecond, record } from "./list-window.ts";
import type { Shown } from "./visit-attempt.ts";

export type Head = {
  readonly date: Date;
  /** Runs created from here on are all listed; undefined when the page cannot say. */
  readonly listedFrom: Date | undefined;
  /** What this answer itself has shown. */
  readonly shown: Shown | undefined;
  /** To be kept once everything else is listed, too. */
  readonly runsEtag: { readonly etag: string; readonly credential: string } | undefined;
};

export type KnownEtag = { readonly etag: string | null; readonly credential: string | null };

/**
 * Lists the newest runs and writes them into the ledger, unless nothing changed since the answer of `known`. Idempotent.
 * @param unchangedFrom what was listed to its end when `known` was kept.
 * @throws as `listWindow`.
 */
export async function listHead(
  { fetcher, repository, signal }: Omit<Listing, "onListed">,
  known: KnownEtag,
  unchangedFrom: Date,
): Promise<Head> {
  const credential = await fetcher.github.credentialFor(repository.full_name, signal);
  const etag = known.credential === credential && known.etag !== null ? known.etag : undefined;
  const answer = await listNewestRuns(fetcher.github, { repository: repository.full_name, signal, etag });
  if ("notModified" in answer) return { date: answer.date, listedFrom: unchangedFrom, shown: undefined, runsEtag: undefined };
  await record({ fetcher, repository }, answer.data);
  const runsEtag = answer.etag === undefined ? undefined : { etag: answer.etag, credential };
  const { date } = answer;
  const listedFrom = answer.hasNext ? pageFrom(answer.data) : new Date(0);
  return { date, listedFrom, shown: listedFrom && { from: listedFrom, date }, runsEtag };
}

// The page may end in the midst of its oldest second.
function pageFrom(runs: readonly WorkflowRun[]): Date | undefined {
  return isNewestFirst(runs) && runs.length > 0 ? afterSecond(oldestSecond(runs)) : undefined;
}
