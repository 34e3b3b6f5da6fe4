// Runs of the ledger, as lists and deliveries show them, and an attempt for each number up to the newest.

import { sql } from "kysely";

import { asFields, id, instant, text } from "./job-rows.ts";
import { type Database, transact } from "./open-database.ts";
import { roundsOf, unnest } from "./unnest.ts";

/** A run can be re-run 50 times (https://docs.github.com/actions/reference/limits): a wild number must not become so many rows. */
const mostAttempts = 1_000;

type RunColumns = {
  run_id: number;
  repository_id: number;
  run_number: number | null;
  run_attempt: number;
  workflow_id: number | null;
  workflow_name: string | null;
  path: string | null;
  event: string | null;
  actor: string | null;
  triggering_actor: string | null;
  head_branch: string | null;
  head_sha: string | null;
  status: string | null;
  conclusion: string | null;
  created_at: string;
  run_started_at: string | null;
  updated_at: string | null;
  object: unknown;
  backfill_id: number | null;
};

const runTypes = {
  run_id: "bigint",
  repository_id: "bigint",
  run_number: "bigint",
  run_attempt: "integer",
  workflow_id: "bigint",
  workflow_name: "text",
  path: "text",
  event: "text",
  actor: "text",
  triggering_actor: "text",
  head_branch: "text",
  head_sha: "text",
  status: "text",
  conclusion: "text",
  created_at: "timestamptz",
  run_started_at: "timestamptz",
  updated_at: "timestamptz",
  object: "json",
  backfill_id: "bigint",
} as const;

/**
 * Writes runs as a listing showed them, newest attempt first known, and an open attempt for each number up to it.
 * A run that was seen newer before is left as it is; an open attempt whose run changed is due at once. Idempotent.
 * @param objects run objects as GitHub sent them; those without a usable id or created_at are counted, not written.
 * @param backfillId the backfill whose listing it was; a run that is known already stays what it is.
 */
export async function recordRuns(
  db: Database,
  repositoryId: number,
  objects: readonly unknown[],
  backfillId: number | null = null,
): Promise<{ recorded: number; unusable: number }> {
  const usable = objects
    .map((object) => runColumns(repositoryId, object))
    .filter((row) => row !== undefined)
    .map((row): RunColumns => ({ ...row, backfill_id: backfillId }));
  await transact(db, async (trx) => {
    for (const round of roundsOf(usable, ({ run_id }) => [run_id])) {
      await upsertRuns(trx, round);
      await upsertAttempts(trx, round);
    }
  });
  return { recorded: usable.length, unusable: objects.length - usable.length };
}

async function upsertRuns(trx: Database, rows: readonly RunColumns[]): Promise<void> {
  await sql`
    insert into archive.runs (run_id, repository_id, run_number, run_attempt, workflow_id, workflow_name, path, event, actor,
      triggering_actor, head_branch, head_sha, status, conclusion, created_at, run_started_at, updated_at, backfill_id)
    select run_id, repository_id, run_number, run_attempt, workflow_id, workflow_name, path, event, actor,
      triggering_actor, head_branch, head_sha, status, conclusion, created_at, run_started_at, updated_at, backfill_id
    from ${unnest(runTypes, rows)}
    on conflict (run_id) do update set
      run_attempt = excluded.run_attempt,
      workflow_name = coalesce(excluded.workflow_name, runs.workflow_name),
      event = coalesce(excluded.event, runs.event),
      actor = coalesce(excluded.actor, runs.actor),
      triggering_actor = coalesce(excluded.triggering_actor, runs.triggering_actor),
      head_branch = coalesce(excluded.head_branch, runs.head_branch),
      head_sha = coalesce(excluded.head_sha, runs.head_sha),
      status = excluded.status,
      conclusion = excluded.conclusion,
      run_started_at = coalesce(excluded.run_started_at, runs.run_started_at),
      updated_at = excluded.updated_at
    where (excluded.run_attempt, coalesce(excluded.updated_at, '-infinity')) >= (runs.run_attempt, coalesce(runs.updated_at, '-infinity'))
      and (excluded.run_attempt > runs.run_attempt or runs.status is distinct from 'completed' or excluded.status = 'completed')
  `.execute(trx);
}

// Only the newest attempt is described by a run of the list; the earlier ones are asked for one by one when visited.
async function upsertAttempts(trx: Database, rows: readonly RunColumns[]): Promise<void> {
  await sql`
    insert into archive.attempts (run_id, run_attempt, repository_id, status, conclusion, object, run_updated_at)
    select run_id, number, repository_id,
      case when number = run_attempt then status end,
      case when number = run_attempt then conclusion end,
      case when number = run_attempt then object end,
      case when number = run_attempt then updated_at end
    from ${unnest(runTypes, rows)}
    cross join lateral generate_series(1, run_attempt) as number
    order by run_id, number
    on conflict (run_id, run_attempt) do update set
      status = excluded.status,
      conclusion = excluded.conclusion,
      object = excluded.object,
      run_updated_at = excluded.run_updated_at,
      visit_due_at = case
        when excluded.status is distinct from 'completed' and attempts.told_at > now() - interval '1 hour' then attempts.visit_due_at
        else now()
      end
    where attempts.state = 'open' and excluded.run_updated_at is not null
      and (attempts.status is distinct from 'completed' or excluded.status = 'completed')
      and (excluded.run_updated_at > coalesce(attempts.run_updated_at, '-infinity')
        -- A run can begin and end within one second.
        or (excluded.run_updated_at = attempts.run_updated_at and excluded.status = 'completed' and attempts.status is distinct from 'completed'))
  `.execute(trx);
}

function runColumns(repositoryId: number, object: unknown): Omit<RunColumns, "backfill_id"> | undefined {
  const run = asFields(object);
  const [run_id, created_at, run_attempt] = [id(run["id"]), instant(run["created_at"]), id(run["run_attempt"]) ?? 1];
  if (run_id === null || created_at === null || run_attempt > mostAttempts) return undefined;
  return {
    run_id,
    repository_id: repositoryId,
    run_number: id(run["run_number"]),
    run_attempt,
    workflow_id: id(run["workflow_id"]),
    workflow_name: text(run["name"]),
    path: text(run["path"]),
    event: text(run["event"]),
    actor: text(asFields(run["actor"])["login"]),
    triggering_actor: text(asFields(run["triggering_actor"])["login"]),
    head_branch: text(run["head_branch"]),
    head_sha: text(run["head_sha"]),
    status: text(run["status"]),
    conclusion: text(run["conclusion"]),
    created_at,
    run_started_at: instant(run["run_started_at"]),
    updated_at: instant(run["updated_at"]),
    object,
  };
}
