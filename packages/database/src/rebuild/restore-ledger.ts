// Restores repositories, attempts and windows of a ledger from run records and seals. Otherwise only a check or a listing closes an
// attempt or window.

import { sql } from "kysely";

import type { Database } from "../connection/open-database.ts";
import { archiveSchema, type Schema } from "../connection/schema-name.ts";
import { unnest } from "../connection/unnest.ts";
import { type AttemptFields, attemptFieldTypes, pullRequestNumbers } from "../ledger/attempt-fields.ts";

export type NamedRepository = {
  repository_id: number;
  full_name: string;
  /** When it had this name. ISO 8601 */
  named_at: string;
};

/**
 * Writes repositories with their newest known name. Policies wait a week for each, since it is unknown how long it had its name. They
 * are selected until a fetcher polls: it unselects those that its settings exclude, and finds selected ones whose name has changed by
 * their id. Idempotent.
 */
export async function restoreRepositories(db: Database, repositories: readonly NamedRepository[]): Promise<void> {
  if (repositories.length === 0) return;
  const types = { repository_id: "bigint", full_name: "text", named_at: "timestamptz" } as const;
  await sql`
    insert into archive.repositories (repository_id, full_name, named_at, name_seen_at)
    select distinct on (repository_id) repository_id, full_name, named_at, now()
    from ${unnest<NamedRepository>(types, repositories)}
    order by repository_id, named_at desc
    on conflict (repository_id) do update set
      full_name = excluded.full_name, named_at = excluded.named_at, name_seen_at = excluded.name_seen_at
    where repositories.named_at < excluded.named_at
  `.execute(db);
}

export type RecordedAttempt = AttemptFields & {
  run_id: number;
  run_attempt: number;
  repository_id: number;
  status: string | null;
  conclusion: string | null;
  /** The run as GitHub showed this attempt; null if it never did. */
  object: unknown;
  run_updated_at: string | null;
  listed_at: string;
  listed_jobs: number;
  missing_job_ids: readonly number[];
  record_key: string;
};

/** Marks attempts with a run record as listed. Idempotent. */
export async function restoreAttempts(
  trx: Database,
  attempts: readonly RecordedAttempt[],
  schema: Schema = archiveSchema,
): Promise<void> {
  if (attempts.length === 0) return;
  const types = {
    run_id: "bigint",
    run_attempt: "integer",
    repository_id: "bigint",
    status: "text",
    conclusion: "text",
    ...attemptFieldTypes,
    object: "json",
    run_updated_at: "timestamptz",
    listed_at: "timestamptz",
    listed_jobs: "integer",
    missing_job_ids: "json",
    record_key: "text",
  } as const;
  await sql`
    insert into ${schema}.attempts (run_id, run_attempt, repository_id, state, status, conclusion, actor, triggering_actor,
      pull_request_numbers, head_repository, object, run_updated_at, listed_at, listed_jobs, missing_job_ids, record_key, first_seen_at, sealed_in)
    select run_id, run_attempt, incoming.repository_id, 'listed', status, conclusion, actor, triggering_actor,
      ${pullRequestNumbers}, head_repository,
      case when json_typeof(object) = 'object' then object end, run_updated_at, listed_at, listed_jobs,
      array(select json_array_elements_text(missing_job_ids)::bigint), record_key, listed_at,
      -- Whoever has the sealed record has the seal's facts about the attempt.
      (select sealed_in from archive.objects where object_key = record_key)
    from ${unnest<RecordedAttempt>(types, attempts)}
    order by run_id, run_attempt
    on conflict (run_id, run_attempt) do update set
      state = excluded.state,
      status = excluded.status,
      conclusion = excluded.conclusion,
      actor = excluded.actor,
      triggering_actor = excluded.triggering_actor,
      pull_request_numbers = excluded.pull_request_numbers,
      head_repository = excluded.head_repository,
      object = excluded.object,
      run_updated_at = excluded.run_updated_at,
      listed_at = excluded.listed_at,
      listed_jobs = excluded.listed_jobs,
      missing_job_ids = excluded.missing_job_ids,
      record_key = excluded.record_key,
      sealed_in = excluded.sealed_in
    where attempts.record_key is null
  `.execute(trx);
}

export type SealedWindow = { repository_id: number; repository: string; window_start: string; window_end: string };

export type SealedAttempt = {
  repository_id: number;
  repository: string;
  run_id: number;
  run_attempt: number;
  run_created_at: string;
  state: "open" | "listed" | "gone" | "never_completed";
};

export type SealedLedger = {
  readonly sequence: number;
  /** ISO 8601 */
  readonly sealed_at: string;
  readonly windows: readonly SealedWindow[];
  readonly attempts: readonly SealedAttempt[];
};

/**
 * Adopts a seal's windows and attempts, after all run records. An attempt that the seal has as listed without a run record becomes
 * open, so that its jobs are listed again. Call it for each seal in order; the last one of an attempt counts. Idempotent.
 */
export async function restoreSealedLedger(trx: Database, seal: SealedLedger): Promise<void> {
  await restoreRepositories(
    trx,
    [...seal.windows, ...seal.attempts].map(({ repository_id, repository }) => ({
      repository_id,
      full_name: repository,
      named_at: seal.sealed_at,
    })),
  );
  await restoreSealedAttempts(trx, seal);
  await restoreWindows(trx, seal);
}

/** Attempts of a seal as rows, without the repository's name. */
export function unnestSealedAttempts(attempts: readonly SealedAttempt[]) {
  const types = {
    repository_id: "bigint",
    run_id: "bigint",
    run_attempt: "integer",
    run_created_at: "timestamptz",
    state: "text",
  } as const;
  return unnest<Omit<SealedAttempt, "repository">>(types, attempts);
}

async function restoreSealedAttempts(trx: Database, { sequence, sealed_at, attempts }: SealedLedger): Promise<void> {
  if (attempts.length === 0) return;
  const incoming = unnestSealedAttempts(attempts);
  await sql`
    insert into archive.runs (run_id, repository_id, run_attempt, created_at)
    select run_id, min(repository_id), max(run_attempt), min(run_created_at)
    from ${incoming}
    group by run_id
    order by run_id
    on conflict (run_id) do update set run_attempt = excluded.run_attempt
    where runs.run_attempt < excluded.run_attempt
  `.execute(trx);
  await sql`
    insert into archive.attempts (run_id, run_attempt, repository_id, state, first_seen_at, sealed_in)
    select run_id, run_attempt, repository_id, case state when 'listed' then 'open' else state end, ${sealed_at}::timestamptz,
      case when state <> 'listed' then ${sequence}::bigint end
    from ${incoming}
    order by run_id, run_attempt
    on conflict (run_id, run_attempt) do update set state = excluded.state, sealed_in = excluded.sealed_in
    where attempts.record_key is null
  `.execute(trx);
  // An attempt with a run record was reopened or listed again if a seal after its record's contains it.
  await sql`
    update archive.attempts set state = incoming.state, sealed_in = ${sequence}::bigint
    from ${incoming}
    where (attempts.run_id, attempts.run_attempt) = (incoming.run_id, incoming.run_attempt)
      and record_key is not null and attempts.sealed_in < ${sequence}::bigint
  `.execute(trx);
}

/** Adopts the windows of a seal, merged with existing ones. Idempotent. */
export async function restoreWindows(
  trx: Database,
  { sequence, sealed_at, windows }: Omit<SealedLedger, "attempts">,
  schema: Schema = archiveSchema,
): Promise<void> {
  if (windows.length === 0) return;
  const types = { repository_id: "bigint", window_start: "timestamptz", window_end: "timestamptz" } as const;
  await sql`
    with incoming as (
      select * from ${unnest<Omit<SealedWindow, "repository">>(types, windows)} where window_start < window_end
    ),
    replaced as (
      delete from ${schema}.windows
      where repository_id in (select repository_id from incoming)
      returning repository_id, window_start, window_end
    ),
    merged as (
      select repository_id, unnest(range_agg(tstzrange(window_start, window_end))) as span
      from (select * from incoming union all select * from replaced) as all_windows
      group by repository_id
    )
    insert into ${schema}.windows (repository_id, window_start, window_end, scanned_at, sealed_in)
    select repository_id, lower(span), upper(span), ${sealed_at}::timestamptz, ${sequence}::bigint from merged
  `.execute(trx);
}

/** Removes the seconds that are full in the last seal from the windows, since an earlier seal's window may include them. Idempotent. */
export async function restoreFullSeconds(
  trx: Database,
  seconds: readonly { repository_id: number; second_start: string }[],
): Promise<void> {
  if (seconds.length === 0) return;
  const incoming = unnest<(typeof seconds)[number]>({ repository_id: "bigint", second_start: "timestamptz" }, seconds);
  await sql`
    insert into archive.full_seconds (repository_id, second_start)
    select repository_id, second_start from ${incoming} join archive.repositories using (repository_id)
    on conflict do nothing
  `.execute(trx);
  await sql`
    with full_spans as (
      select repository_id, range_agg(tstzrange(second_start, second_start + interval '1 second')) as spans
      from ${incoming}
      group by repository_id
    ),
    opened as (
      delete from archive.windows using full_spans
      where windows.repository_id = full_spans.repository_id and full_spans.spans && tstzrange(window_start, window_end)
      returning windows.*, spans
    )
    insert into archive.windows (repository_id, window_start, window_end, scanned_at, sealed_in)
    select repository_id, lower(span), upper(span), scanned_at, sealed_in
    from opened cross join lateral unnest(tstzmultirange(tstzrange(window_start, window_end)) - spans) as span
  `.execute(trx);
}

/**
 * The first re-run scan of a rebuilt repository begins a day before its last window ended: the last scan, of which nothing is stored,
 * was not earlier unless polling had stopped. Idempotent.
 */
export async function restoreRerunScans(db: Database): Promise<void> {
  await sql`
    update archive.repositories
    set rescanned_at = (select max(window_end) - interval '1 day' from archive.windows where windows.repository_id = repositories.repository_id)
    where rescanned_at is null and polled_at is null
  `.execute(db);
}
