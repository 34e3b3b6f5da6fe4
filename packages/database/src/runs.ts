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

const columnTypes = {
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
  backfill_id: "bigint",
} as const;
const runTypes = { ...columnTypes, object: "json" } as const;

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
  const usable = objects.flatMap((object) => usableRun({ repositoryId, object }, backfillId));
  await writeRuns(db, usable);
  return { recorded: usable.length, unusable: objects.length - usable.length };
}

/** As `recordRuns`, of any repositories, where the attempts that these objects show are in the ledger already, with the objects. */
export async function recordRunsOf(db: Database, runs: readonly RunOf[]): Promise<void> {
  const usable = runs.flatMap((run) => usableRun(run, null));
  // Objects are most of what travels, and nobody would look at them.
  await writeRuns(
    db,
    usable.map((run) => ({ ...run, object: null })),
  );
}

export type RunOf = { readonly repositoryId: number; readonly object: unknown };

async function writeRuns(db: Database, usable: readonly RunColumns[]): Promise<void> {
  if (usable.length === 0) return;
  await transact(db, async (trx) => {
    const unchanged = await findUnchanged(trx, usable);
    const changed = usable.filter(({ run_id }) => !unchanged.has(run_id));
    for (const round of roundsOf(changed, ({ run_id }) => [run_id])) {
      await upsertRuns(trx, round);
      await upsertAttempts(trx, round);
      await hurryEarlierAttempts(trx, round);
    }
  });
}

const changeTypes = {
  run_id: "bigint",
  repository_id: "bigint",
  run_attempt: "integer",
  status: "text",
  conclusion: "text",
  updated_at: "timestamptz",
} as const;

// A look back shows thousands of runs that have not changed since the last one: their objects need not travel and be parsed again.
async function findUnchanged(trx: Database, rows: readonly RunColumns[]): Promise<ReadonlySet<number>> {
  const { rows: unchanged } = await sql<{ run_id: number }>`
    select run_id
    from ${unnest<Pick<RunColumns, keyof typeof changeTypes>>(changeTypes, rows)}
    join archive.runs using (run_id, repository_id, run_attempt, updated_at)
    group by run_id
    having bool_and((runs.status, runs.conclusion) is not distinct from (incoming.status, incoming.conclusion))
  `.execute(trx);
  return new Set(unchanged.map(({ run_id }) => run_id));
}

// A run that a seal names and no run record is known by its id alone until a list shows it.
async function upsertRuns(trx: Database, rows: readonly RunColumns[]): Promise<void> {
  await sql`
    insert into archive.runs (run_id, repository_id, run_number, run_attempt, workflow_id, workflow_name, path, event, actor,
      triggering_actor, head_branch, head_sha, status, conclusion, created_at, run_started_at, updated_at, backfill_id)
    select run_id, repository_id, run_number, run_attempt, workflow_id, workflow_name, path, event, actor,
      triggering_actor, head_branch, head_sha, status, conclusion, created_at, run_started_at, updated_at, backfill_id
    from ${unnest<Omit<RunColumns, "object">>(columnTypes, rows)}
    on conflict (run_id) do update set
      run_attempt = excluded.run_attempt,
      run_number = coalesce(runs.run_number, excluded.run_number),
      workflow_id = coalesce(runs.workflow_id, excluded.workflow_id),
      path = coalesce(runs.path, excluded.path),
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

const attemptTypes = { run_id: "bigint", run_attempt: "integer" } as const;

// There is a later attempt, so it is over, whatever was to be waited for: copies in the later one wait for its jobs.
async function hurryEarlierAttempts(trx: Database, rows: readonly RunColumns[]): Promise<void> {
  const rerun = rows.filter(({ run_attempt }) => run_attempt > 1);
  if (rerun.length === 0) return;
  await sql`
    update archive.attempts set visit_due_at = now()
    from ${unnest<Pick<RunColumns, keyof typeof attemptTypes>>(attemptTypes, rerun)}
    where attempts.run_id = incoming.run_id and attempts.run_attempt < incoming.run_attempt
      and attempts.state = 'open' and attempts.visit_due_at > now()
  `.execute(trx);
}

/** None where it has no usable id or created_at. */
function usableRun({ repositoryId, object }: RunOf, backfill_id: number | null): RunColumns[] {
  const run = asFields(object);
  const [run_id, created_at, run_attempt] = [id(run["id"]), instant(run["created_at"]), id(run["run_attempt"]) ?? 1];
  if (run_id === null || created_at === null || run_attempt > mostAttempts) return [];
  const columns = {
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
    backfill_id,
  };
  return [columns];
}
