// What a listing of runs leaves in the ledger: spans that are covered, and spans that are to be listed again.

import { forgetUnusableRunsIn } from "@actions-archive/database/ledger/unusable-objects";
import {
  recordIncompleteWindow,
  recordUnusableWindow,
  scheduleSecondListing,
  type Shortfall,
} from "@actions-archive/database/ledger/window-checks";
import { addWindow, type Window } from "@actions-archive/database/ledger/windows";

import type { Fetcher } from "../fetcher.ts";
import type { ListedRepository } from "./record-page.ts";

/**
 * GitHub's run searches answered 200 with lists that were short, and said so in no count, for days in 2021-03 and 2022-04
 * (dawidd6/action-download-artifact#56, #57): what nothing else lists again is listed a second time after a day.
 */
const secondListingSeconds = 24 * 60 * 60;

/**
 * Covers a span that was listed whole. Idempotent.
 * @param unusable how many of its runs the ledger cannot use: with any, it is listed again.
 * @param secondListingBefore what is older than this is listed a second time; undefined: nothing is.
 */
export async function coverWindow(
  { db }: Pick<Fetcher, "db">,
  repositoryId: number,
  window: Window,
  { unusable, secondListingBefore }: { readonly unusable: number; readonly secondListingBefore?: Date | undefined },
): Promise<void> {
  const { start, end } = window;
  if (start >= end) return;
  await addWindow(db, repositoryId, window);
  if (unusable > 0) await recordUnusableWindow(db, repositoryId, window);
  else await forgetUnusableRunsIn(db, repositoryId, window);
  if (secondListingBefore === undefined || start >= secondListingBefore) return;
  const old = { start, end: end < secondListingBefore ? end : secondListingBefore };
  await scheduleSecondListing(db, repositoryId, old, secondListingSeconds);
}

/**
 * For a listing's `onIncomplete`: the span is not covered, and listed again.
 * @param settled what is younger is covered by no poll yet; undefined: nothing is too young.
 */
export function recordIncompletePart(
  { db }: Pick<Fetcher, "db">,
  { repository_id }: Pick<ListedRepository, "repository_id">,
  settled?: Date,
) {
  return async ({ start, end }: Window, shortfall: Shortfall): Promise<void> => {
    const old = { start, end: settled === undefined || end < settled ? end : settled };
    if (old.start < old.end) await recordIncompleteWindow(db, repository_id, old, shortfall);
  };
}
