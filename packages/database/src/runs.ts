// Runs of the ledger and their attempts: what was seen, and which attempts still owe a listing of their jobs.

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
} as const;

export type LedgerAttempt = {
  run_id: number;
  run_attempt: number;
  newest_attempt: number;
  status: string | null;
  visits: number;
  first_seen_at: Date;
  run_created_at: Date;
};

/**
 * Writes runs as a listing showed them, newest attempt first known, and an open attempt for each number up to it.
 * A run that was seen newer before is left as it is; an open attempt whose run changed is due at once. Idempotent.
 * @param objects run objects as GitHub sent them; those without a usable id or created_at are counted, not written.
 */
export async function recordRuns(
  db: Database,
  repositoryId: number,
  objects: readonly unknown[],
): Promise<{ recorded: number; unusable: number }> {
  const usable = objects.map((object) => runColumns(repositoryId, object)).filter((row) => row !== undefined);
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
      triggering_actor, head_branch, head_sha, status, conclusion, created_at, run_started_at, updated_at)
    select run_id, repository_id, run_number, run_attempt, workflow_id, workflow_name, path, event, actor,
      triggering_actor, head_branch, head_sha, status, conclusion, created_at, run_started_at, updated_at
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
      visit_due_at = now()
    where attempts.state = 'open' and excluded.run_updated_at is not null
      and (attempts.status is distinct from 'completed' or excluded.status = 'completed')
      and (excluded.run_updated_at > coalesce(attempts.run_updated_at, '-infinity')
        -- A run can begin and end within one second.
        or (excluded.run_updated_at = attempts.run_updated_at and excluded.status = 'completed' and attempts.status is distinct from 'completed'))
  `.execute(trx);
}

/**
 * An attempt that goes on is not looked at before `seconds` have passed: a webhook will tell its end, and the visit is for the
 * case that it does not. One that was visited keeps its own pace. Idempotent.
 */
export async function postponeFirstVisit(
  db: Database,
  attempt: { run_id: number; run_attempt: number },
  seconds: number,
): Promise<void> {
  await db
    .updateTable("archive.attempts")
    .set({ visit_due_at: sql<Date>`greatest(visit_due_at, now() + make_interval(secs => ${seconds}))` })
    .where("run_id", "=", attempt.run_id)
    .where("run_attempt", "=", attempt.run_attempt)
    .where("state", "=", "open")
    .where("visits", "=", 0)
    .where(sql<boolean>`status is distinct from 'completed'`)
    .execute();
}

/** Open attempts of a repository, oldest run first. @param onlyDue leaves out those whose next visit is later. */
export async function listOpenAttempts(
  db: Database,
  repositoryId: number,
  { onlyDue, limit }: { onlyDue: boolean; limit: number },
): Promise<LedgerAttempt[]> {
  return db
    .selectFrom("archive.attempts")
    .innerJoin("archive.runs", "archive.runs.run_id", "archive.attempts.run_id")
    .select([
      "archive.attempts.run_id",
      "archive.attempts.run_attempt",
      "archive.runs.run_attempt as newest_attempt",
      "archive.attempts.status",
      "archive.attempts.visits",
      "archive.attempts.first_seen_at",
      "archive.runs.created_at as run_created_at",
    ])
    .where("archive.attempts.repository_id", "=", repositoryId)
    .where("archive.attempts.state", "=", "open")
    .$if(onlyDue, (query) => query.where("archive.attempts.visit_due_at", "<=", sql<Date>`now()`))
    .orderBy("archive.runs.created_at", "desc")
    .orderBy("archive.attempts.run_attempt")
    .limit(limit)
    .execute();
}

export type Visit =
  /** Its jobs were listed by a listing that began after it completed. */
  | { readonly state: "listed"; readonly jobs: number; readonly object?: unknown }
  /** Still running, or its jobs lag behind: look again later. */
  | { readonly state: "open"; readonly againInSeconds: number; readonly object?: unknown }
  /** It vanished before its jobs were listed, or never completed: a closed gap. */
  | { readonly state: "gone" | "never_completed" };

/** Writes down what a visit found. A listed attempt never becomes open again. */
export async function finishVisit(db: Database, attempt: { run_id: number; run_attempt: number }, visit: Visit): Promise<void> {
  const seen = "object" in visit && visit.object !== undefined ? attemptSeen(visit.object) : {};
  await db
    .updateTable("archive.attempts")
    .set({
      state: visit.state,
      visits: sql<number>`visits + 1`,
      ...seen,
      ...(visit.state === "open" ? { visit_due_at: sql<Date>`now() + make_interval(secs => ${visit.againInSeconds})` } : {}),
      ...(visit.state === "listed"
        ? { listed_at: sql<Date>`now()`, listed_jobs: visit.jobs, missing_jobs: countMissing(attempt, visit.jobs) }
        : {}),
    })
    .where("run_id", "=", attempt.run_id)
    .where("run_attempt", "=", attempt.run_attempt)
    .where("state", "=", "open")
    .execute();
}

// Only completed jobs are in the ledger: what the final listing showed beyond them has no row anywhere, and is a gap.
function countMissing({ run_id, run_attempt }: { run_id: number; run_attempt: number }, listedJobs: number) {
  return sql<number>`greatest(0, ${listedJobs}::integer - (
    select count(*) from archive.obligations
    where obligations.run_id = ${run_id} and ${run_attempt}::integer between obligations.run_attempt and last_listed_attempt))`;
}

/** Listed attempts that have no run record in the store yet and whose jobs have all arrived in the ledger. */
export async function listUnrecordedAttempts(db: Database, limit: number): Promise<{ run_id: number; run_attempt: number }[]> {
  return db
    .selectFrom("archive.attempts")
    .select(["run_id", "run_attempt"])
    .where("state", "=", "listed")
    .where("record_key", "is", null)
    .orderBy("run_id")
    .limit(limit)
    .execute();
}

export type AttemptStory = { repository_id: number; full_name: string; object: unknown; listed_at: Date; job_ids: number[] };

/** An attempt and the final list of the jobs it showed, for its run record. Undefined until it is listed. */
export async function findListedAttempt(
  db: Database,
  attempt: { run_id: number; run_attempt: number },
): Promise<AttemptStory | undefined> {
  const row = await db
    .selectFrom("archive.attempts")
    .innerJoin("archive.repositories", "archive.repositories.repository_id", "archive.attempts.repository_id")
    .select([
      "archive.attempts.repository_id",
      "archive.attempts.object",
      "archive.attempts.listed_at",
      "archive.repositories.full_name",
    ])
    .where("run_id", "=", attempt.run_id)
    .where("run_attempt", "=", attempt.run_attempt)
    .where("state", "=", "listed")
    .executeTakeFirst();
  if (row?.listed_at == null) return undefined;
  const jobs = await db
    .selectFrom("archive.obligations")
    .select("job_id")
    .where("run_id", "=", attempt.run_id)
    .where("run_attempt", "<=", attempt.run_attempt)
    .where("last_listed_attempt", ">=", attempt.run_attempt)
    .orderBy("job_id")
    .execute();
  return { ...row, listed_at: row.listed_at, job_ids: jobs.map(({ job_id }) => job_id) };
}

export async function markAttemptRecorded(
  db: Database,
  attempt: { run_id: number; run_attempt: number },
  recordKey: string,
): Promise<void> {
  await db
    .updateTable("archive.attempts")
    .set({ record_key: recordKey })
    .where("run_id", "=", attempt.run_id)
    .where("run_attempt", "=", attempt.run_attempt)
    .execute();
}

function attemptSeen(object: unknown): { status: string | null; conclusion: string | null; object: string } {
  const run = asFields(object);
  return { status: text(run["status"]), conclusion: text(run["conclusion"]), object: JSON.stringify(object) };
}

function runColumns(repositoryId: number, object: unknown): RunColumns | undefined {
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
