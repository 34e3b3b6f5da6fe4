// Runs of the ledger, as lists and deliveries show them, with one attempt per number up to the newest.

import { sql } from "kysely";

import { type Database, transact } from "../connection/open-database.ts";
import { archiveSchema, type Schema } from "../connection/schema-name.ts";
import { divideIntoRounds, unnest } from "../connection/unnest.ts";
import { asFields, id, instant, text } from "../rows/job-rows.ts";
import { type AttemptFields, attemptFields, attemptFieldTypes, pullRequestNumbers } from "./attempt-fields.ts";

/**
 * GitHub allows 50 re-runs of a run (https://docs.github.com/actions/reference/limits). A wrong number must not create that many rows.
 */
const maxAttempts = 1_000;

/** An object this far ahead of GitHub's clock is wrong. If it were written, no later object could be newer. */
const maxFutureMs = 24 * 60 * 60 * 1000;

type RunColumns = AttemptFields & {
  run_id: number;
  repository_id: number;
  run_number: number | null;
  run_attempt: number;
  workflow_id: number | null;
  workflow_name: string | null;
  path: string | null;
  event: string | null;
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
const runTypes = { ...columnTypes, ...attemptFieldTypes, object: "json" } as const;

/** A run object that the ledger cannot use, and why. */
export type UnusableRun = { readonly object: unknown; readonly problem: string };

export type RecordRunsOptions = {
  /** The backfill whose listing it was; a known run keeps its own. */
  readonly backfillId?: number | undefined;
  /** GitHub's clock: a run of a later day is unusable. If undefined, any time is accepted. */
  readonly now?: Date | undefined;
};

/**
 * Writes runs as a listing showed them, and an open attempt for each number up to the newest. A run that is known in a newer state is
 * unchanged. An open attempt of a changed run is due at once. A closed attempt is reopened if the run contradicts it. Idempotent.
 * @param objects run objects as GitHub sent them.
 * @returns the objects that were not written.
 */
export async function recordRuns(
  db: Database,
  repositoryId: number,
  objects: readonly unknown[],
  { backfillId, now }: RecordRunsOptions = {},
): Promise<readonly UnusableRun[]> {
  const unusable: UnusableRun[] = [];
  const usable: RunColumns[] = [];
  for (const object of objects) {
    const run = readRun(object, now);
    if (typeof run === "string") unusable.push({ object, problem: run });
    else usable.push({ ...run, repository_id: repositoryId, object, backfill_id: backfillId ?? null });
  }
  await writeRuns(db, usable);
  return unusable;
}

/** Writes only the rows of runs, in the order of these objects, in a given schema. Idempotent. */
export async function upsertRunsOf(trx: Database, runs: readonly RunOf[], schema: Schema): Promise<void> {
  for (const round of divideIntoRounds(readRunsOf(runs), ({ run_id }) => [run_id])) await upsertRuns(trx, round, schema);
}

/** Like `recordRuns`, for any repositories whose attempts are in the ledger already, with their objects. */
export async function recordRunsOf(db: Database, runs: readonly RunOf[]): Promise<void> {
  await writeRuns(db, readRunsOf(runs));
}

// The objects are most of the data, and are not read here.
function readRunsOf(runs: readonly RunOf[]): RunColumns[] {
  return runs.flatMap(({ repositoryId, object }) => {
    const run = readRun(object, undefined);
    return typeof run === "string" ? [] : [{ ...run, repository_id: repositoryId, object: null, backfill_id: null }];
  });
}

export type RunOf = { readonly repositoryId: number; readonly object: unknown };

async function writeRuns(db: Database, usable: readonly RunColumns[]): Promise<void> {
  if (usable.length === 0) return;
  await transact(db, async (trx) => {
    const unchanged = await findUnchanged(trx, usable);
    const changed = usable.filter(({ run_id }) => !unchanged.has(run_id));
    for (const round of divideIntoRounds(changed, ({ run_id }) => [run_id])) {
      await upsertRuns(trx, round);
      await reopenAttempts(trx, round);
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

// A re-run scan shows thousands of unchanged runs, whose objects need not be sent and parsed again. A run with a closed attempt is not
// skipped, since showing it may reopen the attempt.
async function findUnchanged(trx: Database, rows: readonly RunColumns[]): Promise<ReadonlySet<number>> {
  const { rows: unchanged } = await sql<{ run_id: number }>`
    select run_id
    from ${unnest<Pick<RunColumns, keyof typeof changeTypes>>(changeTypes, rows)}
    join archive.runs using (run_id, repository_id, run_attempt, updated_at)
    where not exists (
      select from archive.attempts where attempts.run_id = runs.run_id and attempts.state in ('gone', 'never_completed')
    )
    group by run_id
    having bool_and((runs.status, runs.conclusion) is not distinct from (incoming.status, incoming.conclusion))
  `.execute(trx);
  return new Set(unchanged.map(({ run_id }) => run_id));
}

// A run that only a seal names is known by its id alone until a list shows it.
async function upsertRuns(trx: Database, rows: readonly RunColumns[], schema: Schema = archiveSchema): Promise<void> {
  await sql`
    insert into ${schema}.runs (run_id, repository_id, run_number, run_attempt, workflow_id, workflow_name, path, event, actor,
      triggering_actor, head_branch, head_sha, status, conclusion, created_at, run_started_at, updated_at, backfill_id)
    select run_id, repository_id, run_number, run_attempt, workflow_id, workflow_name, path, event, actor,
      triggering_actor, head_branch, head_sha, status, conclusion, created_at, run_started_at, updated_at, backfill_id
    from ${unnest<Pick<RunColumns, keyof typeof columnTypes>>(columnTypes, rows)}
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

// A run in a list describes only its newest attempt. The earlier ones are requested one by one when they are checked.
async function upsertAttempts(trx: Database, rows: readonly RunColumns[]): Promise<void> {
  await sql`
    insert into archive.attempts (run_id, run_attempt, repository_id, status, conclusion, actor, triggering_actor,
      pull_request_numbers, head_repository, object, run_updated_at)
    select run_id, number, repository_id,
      case when number = run_attempt then status end,
      case when number = run_attempt then conclusion end,
      case when number = run_attempt then actor end,
      case when number = run_attempt then triggering_actor end,
      case when number = run_attempt then ${pullRequestNumbers} end,
      case when number = run_attempt then head_repository end,
      case when number = run_attempt then object end,
      case when number = run_attempt then updated_at end
    from ${unnest(runTypes, rows)}
    cross join lateral generate_series(1, run_attempt) as number
    order by run_id, number
    on conflict (run_id, run_attempt) do update set
      status = excluded.status,
      conclusion = excluded.conclusion,
      actor = excluded.actor,
      triggering_actor = excluded.triggering_actor,
      pull_request_numbers = excluded.pull_request_numbers,
      head_repository = excluded.head_repository,
      object = excluded.object,
      run_updated_at = excluded.run_updated_at,
      check_due_at = case
        when excluded.status is distinct from 'completed' and attempts.webhook_at > now() - interval '1 hour' then attempts.check_due_at
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
const reopenTypes = { ...attemptTypes, status: "text", updated_at: "timestamptz" } as const;

// No single answer closes an attempt permanently. One closed as gone exists if a list shows its run, one closed as never completed has
// completed if a list shows that, and a job list is outdated if its run changed afterwards.
async function reopenAttempts(trx: Database, rows: readonly RunColumns[]): Promise<void> {
  await sql`
    update archive.attempts set
      state = 'open', check_due_at = now(), sealed_in = null, check_reason = null, check_detail = null, check_failures = 0,
      same_reason_checks = 0, same_reason_since = null, incomplete_since = null
    from ${unnest<Pick<RunColumns, keyof typeof reopenTypes>>(reopenTypes, rows)}
    where attempts.run_id = incoming.run_id and attempts.run_attempt <= incoming.run_attempt and (
      attempts.state = 'gone'
      or (attempts.state = 'never_completed' and (attempts.run_attempt < incoming.run_attempt or incoming.status = 'completed'))
      or (attempts.state = 'listed' and attempts.run_attempt = incoming.run_attempt
        and incoming.updated_at > attempts.run_updated_at and incoming.updated_at > attempts.listed_at)
    )
  `.execute(trx);
}

// A later attempt exists, so this one has ended and is due now: copies in the later one wait for its jobs.
async function hurryEarlierAttempts(trx: Database, rows: readonly RunColumns[]): Promise<void> {
  const rerun = rows.filter(({ run_attempt }) => run_attempt > 1);
  if (rerun.length === 0) return;
  await sql`
    update archive.attempts set check_due_at = now()
    from ${unnest<Pick<RunColumns, keyof typeof attemptTypes>>(attemptTypes, rerun)}
    where attempts.run_id = incoming.run_id and attempts.run_attempt < incoming.run_attempt
      and attempts.state = 'open' and attempts.check_due_at > now()
  `.execute(trx);
}

/** The columns of a run object, or why it cannot be used. */
function readRun(object: unknown, now: Date | undefined): Omit<RunColumns, "repository_id" | "object" | "backfill_id"> | string {
  const run = asFields(object);
  const [run_id, created_at, updated_at] = [id(run["id"]), instant(run["created_at"]), instant(run["updated_at"])];
  if (run_id === null) return problemOf(run, "id", "no id of GitHub's");
  if (created_at === null) return problemOf(run, "created_at", "no time");
  // GHES of 2021 sends no attempt.
  const run_attempt = run["run_attempt"] == null ? 1 : id(run["run_attempt"]);
  if (run_attempt === null || run_attempt > maxAttempts)
    return problemOf(run, "run_attempt", `no number from 1 to ${maxAttempts}`);
  const latestMs = (now?.getTime() ?? Infinity) + maxFutureMs;
  if (Date.parse(created_at) > latestMs) return problemOf(run, "created_at", "in the future");
  if (updated_at !== null && Date.parse(updated_at) > latestMs) return problemOf(run, "updated_at", "in the future");
  return {
    run_id,
    run_number: id(run["run_number"]),
    run_attempt,
    workflow_id: id(run["workflow_id"]),
    workflow_name: text(run["name"]),
    path: text(run["path"]),
    event: text(run["event"]),
    ...attemptFields(run),
    head_branch: text(run["head_branch"]),
    head_sha: text(run["head_sha"]),
    status: text(run["status"]),
    conclusion: text(run["conclusion"]),
    created_at,
    run_started_at: instant(run["run_started_at"]),
    updated_at,
  };
}

function problemOf(object: Readonly<Record<string, unknown>>, field: string, what: string): string {
  return `${field} is ${JSON.stringify(object[field])?.slice(0, 100) ?? "missing"}: ${what}`;
}
