// Lists the runs of a span of time, walked by the oldest that was seen and never by page number: a run that is deleted between
// two pages shifts the pages, and would hide another. What was listed is written at once; listing twice changes nothing.
// https://docs.github.com/rest/actions/workflow-runs#list-workflow-runs-for-a-repository

import { PermanentError } from "@actions-archive/core/errors";
import { recordRuns } from "@actions-archive/database/runs";
import { markFullSecond, type Window } from "@actions-archive/database/windows";
import type { Page } from "@actions-archive/github/github";
import type { WorkflowRun } from "@actions-archive/github/schemas";
import { listAllRuns } from "@actions-archive/github/workflow-runs";

import type { Fetcher } from "./fetcher.ts";

/** GitHub shows no more of a filtered list. */
const listCap = 1_000;
const secondMs = 1_000;

export type ListedRepository = { readonly repository_id: number; readonly full_name: string };

export type Listing = {
  readonly fetcher: Fetcher;
  readonly repository: ListedRepository;
  /** The backfill that lists; undefined for a poll. */
  readonly backfillId?: number;
  /** Called for each part that was listed to its end, newest first. Parts touch, and miss the seconds that GitHub caps. */
  readonly onListed: (window: Window) => Promise<void>;
  readonly signal: AbortSignal;
};

/**
 * Lists the runs created in `window` and writes them into the ledger. Idempotent.
 * @throws PermanentError when the name now leads to another repository; the client's errors as they are.
 */
export async function listWindow(listing: Listing, window: Window): Promise<void> {
  // What is older than `until` is still owed; `newest` is the newest second to ask for.
  let [until, newest] = [window.end, floorSecond(window.end)];
  while (until > window.start) {
    const page = await listNewest(listing, { start: window.start, end: newest });
    if (!page.hasNext) return report(listing, { start: window.start, end: until });
    if (!isNewestFirst(page.data)) return listHalves(listing, { start: window.start, end: until });
    const oldest = oldestSecond(page.data);
    if (oldest < newest) {
      // The page may end in the midst of its oldest second, which is asked for again.
      await report(listing, { start: afterSecond(oldest), end: until });
      [until, newest] = [afterSecond(oldest), oldest];
    } else {
      await listSecond(listing, newest, until);
      [until, newest] = [newest, new Date(newest.getTime() - secondMs)];
    }
  }
}

// One page, in smaller pieces where a large one fails.
async function listNewest(listing: Listing, { start, end }: Window): Promise<Page<WorkflowRun>> {
  const created = `${isoSecond(floorSecond(start))}..${isoSecond(end)}`;
  const { fetcher, repository, signal } = listing;
  for await (const page of listAllRuns(fetcher.github, { repository: repository.full_name, created, signal })) {
    await record(listing, page.data);
    return page;
  }
  throw new Error("a list has at least one page");
}

// A second with more runs than a page holds: only page numbers lead further, up to GitHub's cap.
async function listSecond(listing: Listing, second: Date, until: Date): Promise<void> {
  const { fetcher, repository, signal } = listing;
  const created = `${isoSecond(second)}..${isoSecond(second)}`;
  let seen = 0;
  for await (const { data } of listAllRuns(fetcher.github, { repository: repository.full_name, created, signal })) {
    await record(listing, data);
    seen += data.length;
  }
  if (seen < listCap) return report(listing, { start: second, end: until });
  fetcher.log.error({ repository: repository.full_name, second }, "a second with 1000 runs: GitHub shows no more of it");
  await markFullSecond(fetcher.db, repository.repository_id, second);
  await report(listing, { start: afterSecond(second), end: until });
}

// Nobody has seen a list that is not newest first, and nothing documents that there is none: halves need no order.
async function listHalves(listing: Listing, { start, end }: Window): Promise<void> {
  const middle = floorSecond(new Date((start.getTime() + end.getTime()) / 2));
  if (middle <= start) {
    await listSecond(listing, floorSecond(end), end);
    return listSecond(listing, floorSecond(start), floorSecond(end));
  }
  await listWindow(listing, { start: middle, end });
  await listWindow(listing, { start, end: middle });
}

/** Writes a page of runs. @throws PermanentError when they are another repository's. */
export async function record(
  { fetcher, repository, backfillId }: Pick<Listing, "fetcher" | "repository" | "backfillId">,
  runs: readonly WorkflowRun[],
): Promise<void> {
  const stranger = runs.find((run) => run.repository?.id !== undefined && run.repository.id !== repository.repository_id);
  if (stranger) {
    throw new PermanentError(
      "github/not-found",
      `${repository.full_name} is now another repository (id ${stranger.repository?.id}, was ${repository.repository_id})`,
    );
  }
  const { unusable } = await recordRuns(fetcher.db, repository.repository_id, runs, backfillId);
  if (unusable > 0) fetcher.log.error({ repository: repository.full_name, unusable }, "runs without a usable id or created_at");
}

async function report({ onListed }: Listing, window: Window): Promise<void> {
  if (window.start < window.end) await onListed(window);
}

export function isNewestFirst(runs: readonly WorkflowRun[]): boolean {
  return runs.every((run, index) => index === 0 || Date.parse(run.created_at) <= Date.parse(runs[index - 1]?.created_at ?? ""));
}

export function oldestSecond(runs: readonly WorkflowRun[]): Date {
  return floorSecond(new Date(Math.min(...runs.map(({ created_at }) => Date.parse(created_at)))));
}

function floorSecond(date: Date): Date {
  return new Date(Math.floor(date.getTime() / secondMs) * secondMs);
}

export function afterSecond(second: Date): Date {
  return new Date(second.getTime() + secondMs);
}

function isoSecond(date: Date): string {
  return date.toISOString().replace(/\.\d{3}Z$/, "Z");
}
