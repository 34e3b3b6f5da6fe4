// Reads the first page of a repository's run list. Every poll requests the same URL, and an unchanged page is answered with 304,
// which does not count against the limit. The page also shows the state of the newest runs, re-runs included.
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
  /** All runs created at or after this time are listed; undefined when the page does not prove it. */
  readonly listedFrom: Date | undefined;
  /** The runs in progress that this page showed. */
  readonly shownOpen: ShownOpenRun | undefined;
  /** The page's runs. */
  readonly runs: readonly ShownRun[];
  /** To be stored once the rest of the list is read. */
  readonly runsEtag: { readonly etag: string; readonly credential: string } | undefined;
};

export type KnownEtag = { readonly etag: string | null; readonly credential: string | null };

/**
 * Lists the newest runs and records them, unless nothing changed since `known`. A page with fewer runs than GitHub counts is read
 * again; if it stays incomplete, `listedFrom` is undefined. Idempotent.
 * @param unchangedFrom the end of the listed span when `known` was stored.
 * @throws as `listWindow`.
 */
export async function listFirstPage(
  listing: PageOf & { readonly signal: AbortSignal },
  known: KnownEtag,
  unchangedFrom: Date,
): Promise<FirstPage> {
  const { fetcher, repository, signal } = listing;
  const credential = await fetcher.github.credentialFor(repository.full_name, signal);
  const request = (etag?: string) => listNewestRuns(fetcher.github, { repository: repository.full_name, signal, etag });
  const first = await request(known.credential === credential && known.etag !== null ? known.etag : undefined);
  if ("notModified" in first)
    return { ...datesOf(first), listedFrom: unchangedFrom, shownOpen: undefined, runs: [], runsEtag: undefined };
  let readings = 0;
  const reading = await readUntilComplete(
    async () => {
      const answer = readings++ === 0 ? first : await request();
      if ("notModified" in answer) throw new TypeError("only a request with an ETag is answered with 304");
      return { answer, ...(await recordPage(listing, answer)) };
    },
    // An empty list is accepted only after two answers.
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

/** Whether the page has as many distinct runs as the first page of the complete list. */
function showsAll({ data, unusable = [], totalCount = 0, perPage = Infinity, hasNext }: Page<WorkflowRun>): boolean {
  const shown = new Set(data.map(({ id }) => id)).size + unusable.length;
  return shown >= Math.min(totalCount, perPage) && (!hasNext || shown >= perPage);
}

/** Whether the page is the last. The count decides too, since a proxy may strip the `Link` header. */
function isLast({ data, unusable = [], totalCount = 0, hasNext }: Page<WorkflowRun>): boolean {
  return !hasNext && data.length + unusable.length >= totalCount;
}

function isEmpty({ data, unusable = [] }: Page<WorkflowRun>): boolean {
  return data.length + unusable.length === 0;
}

// The page may end within its oldest second.
function pageStart(runs: readonly WorkflowRun[]): Date | undefined {
  return isNewestFirst(runs) && runs.length > 0 ? afterSecond(oldestSecond(runs)) : undefined;
}
