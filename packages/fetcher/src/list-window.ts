import { PermanentError } from "@actions-archive/core/errors";
import { recordRuns } from "@actions-archive/database/runs";
// Lists the runs of a span of time. GitHub shows at most 1,000 runs of a filtered list, so a span that reaches the cap is
// halved until each part stays below it. What was listed is written page by page: listing twice changes nothing.
// https://docs.github.com/rest/actions/workflow-runs#list-workflow-runs-for-a-repository
import { markFullSecond, type Window } from "@actions-archive/database/windows";
import { listAllRuns } from "@actions-archive/github/workflow-runs";

import type { Fetcher } from "./fetcher.ts";

const listCap = 1_000;

/**
 * Runs that turn up while pages are read push others to the next page, where they are seen twice and count once: a list this
 * long may have reached the cap.
 */
const nearCap = listCap - 100;

export type ListedRepository = { readonly repository_id: number; readonly full_name: string };

export type ListingProgress = {
  /** Called for each part that was listed to its end, newest first. */
  readonly onListed: (window: Window) => Promise<void>;
  readonly signal: AbortSignal;
};

/** The span that a listing covers, and the seconds that are asked for, both included. */
type Part = { readonly covers: Window; readonly first: Date; readonly last: Date };

type Listed = { readonly runs: number; readonly date: Date | undefined };

/**
 * Lists the runs created in `window`, both border seconds included, and writes them into the ledger. Idempotent.
 * @returns GitHub's clock at the last answer, and how many runs were seen.
 * @throws PermanentError when the name now leads to another repository; the client's errors as they are.
 */
export async function listWindow(
  fetcher: Fetcher,
  repository: ListedRepository,
  window: Window,
  progress: ListingProgress,
): Promise<Listed> {
  const part = { covers: window, first: floorSecond(window.start), last: floorSecond(window.end) };
  return listPart(fetcher, repository, part, progress);
}

async function listPart(fetcher: Fetcher, repository: ListedRepository, part: Part, progress: ListingProgress): Promise<Listed> {
  const { covers, first, last } = part;
  const { seen, date } = await listPages(fetcher, repository, part, progress.signal);
  const isOneSecond = first.getTime() >= last.getTime();
  if (seen < (isOneSecond ? listCap : nearCap)) {
    await progress.onListed(covers);
    return { runs: seen, date };
  }
  if (isOneSecond) {
    fetcher.log.error({ repository: repository.full_name, second: first }, "a second with 1000 runs: GitHub shows no more of it");
    await markFullSecond(fetcher.db, repository.repository_id, first);
    return { runs: seen, date };
  }
  // Neighbours share the border second: a run on it is seen twice, never missed. Two seconds can only be taken apart.
  const middle = floorSecond(new Date((first.getTime() + last.getTime()) / 2));
  const isTwoSeconds = middle.getTime() === first.getTime();
  const border = isTwoSeconds ? last : middle;
  const newer = await listPart(
    fetcher,
    repository,
    { covers: { start: border, end: covers.end }, first: border, last },
    progress,
  );
  const older = await listPart(
    fetcher,
    repository,
    { covers: { start: covers.start, end: border }, first, last: isTwoSeconds ? first : middle },
    progress,
  );
  return { runs: newer.runs + older.runs, date: older.date ?? newer.date ?? date };
}

async function listPages(
  fetcher: Fetcher,
  repository: ListedRepository,
  { first, last }: Part,
  signal: AbortSignal,
): Promise<{ seen: number; date: Date | undefined }> {
  let seen = 0;
  let date: Date | undefined;
  const created = `${isoSecond(first)}..${isoSecond(last)}`;
  for await (const page of listAllRuns(fetcher.github, { repository: repository.full_name, created, signal })) {
    const stranger = page.data.find((run) => run.repository?.id !== undefined && run.repository.id !== repository.repository_id);
    if (stranger) {
      throw new PermanentError(
        "github/not-found",
        `${repository.full_name} is now another repository (id ${stranger.repository?.id}, was ${repository.repository_id})`,
      );
    }
    const { unusable } = await recordRuns(fetcher.db, repository.repository_id, page.data);
    if (unusable > 0) fetcher.log.error({ repository: repository.full_name, unusable }, "runs without a usable id or created_at");
    seen += page.data.length;
    date = page.date;
  }
  return { seen, date };
}

function floorSecond(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}

function isoSecond(date: Date): string {
  return date.toISOString().replace(/\.\d{3}Z$/, "Z");
}
