// Lists the runs of a span of time. Pages by the oldest run seen, not by page number: deleting a run between two pages shifts the
// pages and would hide another run. A part of the span is covered only once it showed as many runs as GitHub counts in it. Runs
// are recorded page by page; listing a span again is idempotent.
// https://docs.github.com/rest/actions/workflow-runs#list-workflow-runs-for-a-repository

import { secondMs } from "@actions-archive/core/durations";
import type { Shortfall } from "@actions-archive/database/ledger/window-checks";
import { markFullSecond, type Window } from "@actions-archive/database/ledger/windows";
import { countRuns, filteredListCap, maxCount, listAllRuns } from "@actions-archive/github/endpoints/workflow-runs";
import type { WorkflowRun } from "@actions-archive/github/schemas";

import type { Fetcher } from "../fetcher.ts";
import { readUntilComplete } from "./read-whole.ts";
import { type ListedRepository, recordPage } from "./record-page.ts";

/** A run that another answer has just shown: a list of its span without it is incomplete. */
export type ShownRun = { readonly id: number; readonly createdAt: Date };

export type Listing = {
  readonly fetcher: Fetcher;
  readonly repository: ListedRepository;
  /** The backfill that lists; undefined for a poll. */
  readonly backfillId?: number;
  readonly shownRuns?: readonly ShownRun[] | undefined;
  /**
   * Called for each completely listed part, newest first. Parts are contiguous, except for seconds that reach GitHub's cap and
   * incomplete parts. `unusable`: the number of its unusable run objects.
   */
  readonly onListed: (window: Window, unusable: number) => Promise<void>;
  /** Called for each part for which GitHub still lists fewer runs than it counts after the retries. */
  readonly onIncomplete: (window: Window, shortfall: Shortfall) => Promise<void>;
  readonly signal: AbortSignal;
};

/**
 * Lists the runs created in `window` and records them. Idempotent.
 * @throws PermanentError when the name now resolves to another repository; the client's other errors.
 */
export async function listWindow(listing: Listing, window: Window): Promise<void> {
  // Runs before `until` are still to be listed; `newest` is the newest second to request.
  let [until, newest] = [window.end, floorSecond(window.end)];
  // The preceding part, whose count the next list confirms.
  let unconfirmed: Part | undefined;
  while (until > window.start) {
    const page = await listRest(listing, { start: window.start, end: newest }, unconfirmed);
    if (unconfirmed !== undefined) await confirmByNext(listing, unconfirmed, page.total);
    unconfirmed = undefined;
    if (!page.hasNext) return reportCounted(listing, { ...page, start: window.start, end: until }, page.total);
    if (!isNewestFirst(page.runs)) return listHalves(listing, { start: window.start, end: until });
    const oldest = oldestSecond(page.runs);
    if (oldest < newest) {
      // The page may end within its oldest second, which is requested again.
      const start = afterSecond(oldest);
      const runs = page.runs.filter(({ created_at }) => Date.parse(created_at) >= start.getTime());
      unconfirmed = { ...page, start, end: until, runs, newest };
      [until, newest] = [start, oldest];
    } else {
      await listSecond(listing, newest, until);
      [until, newest] = [newest, new Date(newest.getTime() - secondMs)];
    }
  }
}

/** What a list showed of a part of the window. */
type Shown = { readonly runs: readonly WorkflowRun[]; readonly unusable: number; readonly total: number | undefined };
type Part = Window & Shown & { /** The second up to which `total` counts. */ readonly newest: Date };

// Reads one page, with a smaller page size when a large one fails. A page with an unusable object, or without runs, is read
// again, since a single answer may be wrong.
async function listNewest(listing: Listing, { start, end }: Window): Promise<Shown & { readonly hasNext: boolean }> {
  const created = `${isoSecond(floorSecond(start))}..${isoSecond(end)}`;
  const { fetcher, repository, signal } = listing;
  const readPage = async () => {
    for await (const page of listAllRuns(fetcher.github, { repository: repository.full_name, created, signal }))
      return { ...(await recordPage(listing, page)), total: page.totalCount, hasNext: page.hasNext };
    throw new Error("a list has at least one page");
  };
  const page = await readUntilComplete(readPage, ({ unusable }) => unusable === 0, signal);
  return page.runs.length + page.unusable > 0 ? page : readPage();
}

// When the rest's count is lower than the previous list implies, either count may be wrong: the rest is read again.
async function listRest(
  listing: Listing,
  rest: Window,
  before: Part | undefined,
): Promise<Shown & { readonly hasNext: boolean }> {
  const page = await listNewest(listing, rest);
  if (before?.total === undefined || page.total === undefined || before.total >= maxCount) return page;
  return isWhole(listing, before, before.total - page.total) ? page : listNewest(listing, rest);
}

// One list counts the part and the rest, the next one only the rest: the difference is the part's count.
async function confirmByNext(listing: Listing, part: Part, restTotal: number | undefined): Promise<void> {
  if (part.total === undefined || restTotal === undefined) return reportCounted(listing, part, undefined);
  if (part.total < maxCount) return reportCounted(listing, part, part.total - restTotal);
  // GitHub's count is capped, so the part is counted on its own.
  const { fetcher, repository, signal } = listing;
  const created = `${isoSecond(part.start)}..${isoSecond(part.newest)}`;
  await reportCounted(listing, part, await countRuns(fetcher.github, { repository: repository.full_name, created, signal }));
}

async function reportCounted(listing: Listing, part: Window & Shown, promised: number | undefined): Promise<void> {
  if (isWhole(listing, part, promised)) return report(listing, part, part.unusable);
  await relistPart(listing, part);
}

function isWhole({ shownRuns = [] }: Listing, part: Window & Shown, promised = 0): boolean {
  if (shownOf(part) < Math.min(promised, filteredListCap)) return false;
  const { start, end } = part;
  const listed = new Set(part.runs.map(({ id }) => id));
  return shownRuns.every(({ id, createdAt }) => listed.has(id) || createdAt < start || createdAt >= end);
}

// Reads an incomplete part again, by page number and with its own count.
async function relistPart(listing: Listing, { start, end }: Window): Promise<void> {
  const first = floorSecond(start);
  const last = new Date(Math.max(first.getTime(), floorSecond(new Date(end.getTime() - 1)).getTime()));
  const reading = await readUntilComplete(
    () => readAllPages(listing, { start: first, end: last }),
    (read) => isWhole(listing, { start, end, ...read }, read.total),
    listing.signal,
  );
  // The number of listed runs decides, not the count: a count that is too large would halve a span of years down to its seconds.
  if (shownOf(reading) >= filteredListCap && last > first) return listHalves(listing, { start, end });
  if (isWhole(listing, { start, end, ...reading }, reading.total)) return report(listing, { start, end }, reading.unusable);
  await reportIncomplete(listing, { start, end }, reading);
}

async function reportIncomplete(listing: Listing, window: Window, reading: Shown): Promise<void> {
  const shown = shownOf(reading);
  // When a run that another answer showed is missing, the count itself is too small.
  const promised = Math.max(reading.total ?? 0, shown + 1);
  fetcherLog(listing).warn({ ...window, promised, shown }, "run list incomplete");
  await listing.onIncomplete(window, { promised, shown });
}

async function readAllPages(listing: Listing, { start, end }: Window): Promise<Shown> {
  const { fetcher, repository, signal } = listing;
  const created = `${isoSecond(start)}..${isoSecond(end)}`;
  const runs: WorkflowRun[] = [];
  let [unusable, total] = [0, 0];
  for await (const page of listAllRuns(fetcher.github, { repository: repository.full_name, created, signal })) {
    const recorded = await recordPage(listing, page);
    runs.push(...recorded.runs);
    unusable += recorded.unusable;
    // The first page may count runs that are deleted before the last page is read. Reading again finds the runs that this hid.
    total = Math.max(total, page.totalCount ?? 0);
  }
  return { runs, unusable, total };
}

// Lists a second with more runs than a page holds: only page numbers lead further, up to GitHub's cap.
async function listSecond(listing: Listing, second: Date, until: Date): Promise<void> {
  const { fetcher, repository } = listing;
  const whole = { start: second, end: until };
  const reading = await readUntilComplete(
    () => readAllPages(listing, { start: second, end: second }),
    (read) => isFull(read) || isWhole(listing, { ...whole, ...read }, read.total),
    listing.signal,
  );
  if (!isFull(reading)) {
    if (isWhole(listing, { ...whole, ...reading }, reading.total)) return report(listing, whole, reading.unusable);
    return reportIncomplete(listing, whole, reading);
  }
  fetcherLog(listing).error({ second }, "second full: GitHub lists no further runs");
  await markFullSecond(fetcher.db, repository.repository_id, second);
  await report(listing, { start: afterSecond(second), end: until }, 0);
}

// Deleting a run while the second is read leaves 999 runs of a full list.
function isFull(reading: Shown): boolean {
  return Math.max(shownOf(reading), reading.total ?? 0) >= filteredListCap;
}

// The documentation does not guarantee that lists are newest first, though every list seen was. Halving needs no order.
async function listHalves(listing: Listing, { start, end }: Window): Promise<void> {
  const middle = floorSecond(new Date((start.getTime() + end.getTime()) / 2));
  if (middle <= start) {
    if (floorSecond(end) < end) await listSecond(listing, floorSecond(end), end);
    return listSecond(listing, floorSecond(start), floorSecond(end));
  }
  await listWindow(listing, { start: middle, end });
  await listWindow(listing, { start, end: middle });
}

async function report({ onListed }: Listing, { start, end }: Window, unusable: number): Promise<void> {
  if (start < end) await onListed({ start, end }, unusable);
}

function fetcherLog({ fetcher, repository }: Listing) {
  return fetcher.log.child({ repository: repository.full_name });
}

/** Counts distinct runs: a page can repeat one run in place of another. */
function shownOf({ runs, unusable }: Pick<Shown, "runs" | "unusable">): number {
  return new Set(runs.map(({ id }) => id)).size + unusable;
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
