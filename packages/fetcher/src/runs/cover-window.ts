// Records the result of listing runs: covered windows, and spans to list again.

import { deleteUnusableRunsIn } from "@actions-archive/database/ledger/unusable-objects";
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
 * For days in 2021-03 and 2022-04, GitHub's run searches answered 200 with incomplete lists and matching counts
 * (dawidd6/action-download-artifact#56, #57). A span that nothing else lists again is listed a second time after a day.
 */
const secondListingSeconds = 24 * 60 * 60;

/**
 * Records a completely listed span as covered. Idempotent.
 * @param unusable the number of unusable run objects: with any, the span is listed again.
 * @param secondListingBefore spans before this time are listed a second time; undefined: none.
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
  else await deleteUnusableRunsIn(db, repositoryId, window);
  if (secondListingBefore === undefined || start >= secondListingBefore) return;
  const old = { start, end: end < secondListingBefore ? end : secondListingBefore };
  await scheduleSecondListing(db, repositoryId, old, secondListingSeconds);
}

/**
 * Creates a listing's `onIncomplete`: the span is not covered, and is scheduled to be listed again.
 * @param settled spans after this time are left to later polls; undefined: none.
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
