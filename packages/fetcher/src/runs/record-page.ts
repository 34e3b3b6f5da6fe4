// Records a page of runs: usable objects as runs, the rest as unusable objects. An unusable object does not affect the rest of
// its page.

import { PermanentError } from "@actions-archive/core/errors";
import { recordRuns } from "@actions-archive/database/ledger/runs";
import { deleteUnusableRuns, recordUnusableRuns } from "@actions-archive/database/ledger/unusable-objects";
import { asFields, instant } from "@actions-archive/database/rows/job-rows";
import type { Page } from "@actions-archive/github/api";
import type { WorkflowRun } from "@actions-archive/github/schemas";

import type { Fetcher } from "../fetcher.ts";

export type ListedRepository = { readonly repository_id: number; readonly full_name: string };

export type RecordedPage = {
  /** The recorded runs, in GitHub's order. */
  readonly runs: readonly WorkflowRun[];
  /** The number of unusable objects on the page. */
  readonly unusable: number;
};

export type PageOf = {
  readonly fetcher: Fetcher;
  readonly repository: ListedRepository;
  /** The backfill that lists; undefined for a poll. */
  readonly backfillId?: number | undefined;
};

/**
 * Records a page of runs. Idempotent.
 * @throws PermanentError `github/not-found` when every run belongs to another repository: the name now resolves to that one.
 */
export async function recordPage({ fetcher, repository, backfillId }: PageOf, page: Page<WorkflowRun>): Promise<RecordedPage> {
  const { repository_id, full_name } = repository;
  const strangers = page.data.filter((run) => isOfAnother(run, repository_id));
  const owner = strangers[0]?.repository?.id;
  if (owner !== undefined && strangers.length === page.data.length)
    throw new PermanentError("github/not-found", `${full_name} is now another repository (id ${owner}, was ${repository_id})`);
  const own = page.data.filter((run) => !strangers.includes(run));
  const refused = await recordRuns(fetcher.db, repository_id, own, { backfillId, now: fetcher.github.now() });
  const refusedObjects = new Set(refused.map(({ object }) => object));
  const runs = own.filter((run) => !refusedObjects.has(run));
  await deleteUnusableRuns(
    fetcher.db,
    repository_id,
    runs.map(({ id }) => id),
  );
  const placeOf = (object: unknown) => page.data.findIndex((run) => run === object);
  const unusable = [
    ...(page.unusable ?? []),
    ...refused.map(({ object, problem }) => ({ object, problem, place: placeOf(object) })),
    ...strangers.map((run) => ({
      object: run,
      problem: `repository.id is ${run.repository?.id}: the run belongs to another repository`,
      place: placeOf(run),
    })),
  ];
  if (unusable.length === 0) return { runs, unusable: 0 };
  const found = await recordUnusableRuns(
    fetcher.db,
    repository_id,
    unusable.map(({ object, problem, place }) => ({ object, problem, positionedAt: positionedAt(object, runs, page, place) })),
  );
  for (const problem of found) fetcher.log.error({ repository: full_name, problem }, "run object unusable");
  return { runs, unusable: unusable.length };
}

function isOfAnother(run: WorkflowRun, repositoryId: number): boolean {
  return run.repository?.id !== undefined && run.repository.id !== repositoryId;
}

/**
 * The run's position in time: its created_at where that is a valid time before now; else, for a first attempt, its
 * run_started_at, which is equal; else the created_at of its neighbour in the list.
 */
function positionedAt(object: unknown, runs: readonly WorkflowRun[], page: Page<WorkflowRun>, place: number): Date {
  const run = asFields(object);
  const own = Date.parse(instant(run["created_at"]) ?? (run["run_attempt"] === 1 ? instant(run["run_started_at"]) : null) ?? "");
  if (own > 0 && own <= page.date.getTime()) return new Date(own);
  const neighbour = runs[Math.min(Math.max(place, 0), runs.length - 1)];
  return neighbour === undefined ? page.date : new Date(neighbour.created_at);
}
