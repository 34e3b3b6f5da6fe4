// The first page of a repository's run list, asked for at every poll by the same URL: when nothing changed, GitHub answers 304,
// which costs nothing of the limit. It also shows what became of the newest runs, re-runs included.
// https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate

import type { Page } from "@actions-archive/github/api";
import { listNewestRuns } from "@actions-archive/github/endpoints/workflow-runs";
import type { WorkflowRun } from "@actions-archive/github/schemas";
import type { DatedAnswer } from "@actions-archive/github/transport/clock-skew";

import type { ShownOpenRun } from "../attempts/check-attempt.ts";
import { afterSecond, isNewestFirst, oldestSecond, type ShownRun } from "../runs/list-window.ts";
import { readUntilComplete } from "../runs/read-whole.ts";
import { type PageOf, type RecordedPage, recordPage } from "../runs/record-page.ts";

/** Its `date` is GitHub's, for `trustedDate`. */
export type FirstPage = DatedAnswer & {
  /** Runs created from here on are all listed; undefined when the page cannot say. */
  readonly listedFrom: Date | undefined;
  /** What this answer itself has shown of runs that go on. */
  readonly shownOpen: ShownOpenRun | undefined;
  /** The runs on it. */
  readonly runs: readonly ShownRun[];
  /** To be kept once everything else is listed, too. */
  readonly runsEtag: { readonly etag: string; readonly credential: string } | undefined;
};

export type KnownEtag = { readonly etag: string | null; readonly credential: string | null };

/**
 * Lists the newest runs and writes them into the ledger, unless nothing changed since the answer of `known`. A page that shows less
 * than it promises is read again; one that stays so proves nothing. Idempotent.
 * @param unchangedFrom what was listed to its end when `known` was kept.
 * @throws as `listWindow`.
 */
export async function listFirstPage(
  listing: PageOf & { readonly signal: AbortSignal },
  known: KnownEtag,
  unchangedFrom: Date,
): Promise<FirstPage> {
  const { fetcher, repository, signal } = listing;
  const credential = await fetcher.github.credentialFor(repository.full_name, signal);
  const ask = (etag?: string) => listNewestRuns(fetcher.github, { repository: repository.full_name, signal, etag });
  const first = await ask(known.credential === credential && known.etag !== null ? known.etag : undefined);
  if ("notModified" in first)
    return { ...datesOf(first), listedFrom: unchangedFrom, shownOpen: undefined, runs: [], runsEtag: undefined };
  let readings = 0;
  const reading = await readUntilComplete(
    async () => {
      const answer = readings++ === 0 ? first : await ask();
      if ("notModified" in answer) throw new TypeError("only a request with an ETag is answered with 304");
      return { answer, ...(await recordPage(listing, answer)) };
    },
    // That a repository has no run at all takes two answers.
    ({ answer, unusable }) => showsAll(answer) && unusable === 0 && (readings > 1 || !isEmpty(answer)),
    signal,
  );
  return describePage(reading, credential);
}

function describePage(
  { answer, runs, unusable }: RecordedPage & { readonly answer: Page<WorkflowRun> },
  credential: string,
): FirstPage {
  const { etag } = answer;
  const shown = runs.map(({ id, created_at }) => ({ id, createdAt: new Date(created_at) }));
  if (!showsAll(answer) || unusable > 0)
    return { ...datesOf(answer), listedFrom: undefined, shownOpen: undefined, runs: shown, runsEtag: undefined };
  const listedFrom = isLast(answer) ? new Date(0) : pageStart(runs);
  return {
    ...datesOf(answer),
    listedFrom,
    shownOpen: listedFrom && { from: listedFrom },
    runs: shown,
    runsEtag: etag === undefined ? undefined : { etag, credential },
  };
}

function datesOf({ date, skewMs }: DatedAnswer): DatedAnswer {
  return { date, skewMs };
}

/** Whether it has as many distinct runs as a first page of the whole list must have. */
function showsAll({ data, unusable = [], totalCount = 0, perPage = Infinity, hasNext }: Page<WorkflowRun>): boolean {
  const shown = new Set(data.map(({ id }) => id)).size + unusable.length;
  return shown >= Math.min(totalCount, perPage) && (!hasNext || shown >= perPage);
}

/** Whether the list ends with it. A proxy that strips `Link` leaves the count. */
function isLast({ data, unusable = [], totalCount = 0, hasNext }: Page<WorkflowRun>): boolean {
  return !hasNext && data.length + unusable.length >= totalCount;
}

function isEmpty({ data, unusable = [] }: Page<WorkflowRun>): boolean {
  return data.length + unusable.length === 0;
}

// The page may end in the midst of its oldest second.
function pageStart(runs: readonly WorkflowRun[]): Date | undefined {
  return isNewestFirst(runs) && runs.length > 0 ? afterSecond(oldestSecond(runs)) : undefined;
}
