// A second database rebuilt from a harness' store, and everything that both must have in common.

import { type OpenDatabase } from "@actions-archive/database/connection/open-database";
import { openTestDatabase } from "@actions-archive/testkit/test-database";

import { rebuild, type RebuildOptions } from "../src/rebuild/rebuild.ts";
import type { Harness } from "./harness.ts";

type Ask = (query: string) => Promise<Record<string, unknown>[]>;

/**
 * Times in the store have milliseconds. Excluded, because the store lacks them: when things were first seen, how logs failed, and what
 * GitHub showed of an attempt without a run record.
 */
const ledger = {
  repositories: "select repository_id, full_name from archive.repositories",
  runs: `
    select case when run_id in (select run_id from archive.attempts where record_key is not null)
      then to_jsonb(t) - 'first_seen_at' - 'backfill_id'
      else jsonb_build_object('run_id', run_id, 'run_attempt', run_attempt, 'repository_id', repository_id, 'created_at', created_at) end
      as run
    from archive.runs t`,
  attempts: `
    select run_id, run_attempt, repository_id, state, listed_jobs, missing_job_ids, record_key,
      date_trunc('milliseconds', listed_at) as listed_at,
      case when record_key is not null then jsonb_build_object(
        'status', status, 'conclusion', conclusion, 'object', object, 'run_updated_at', run_updated_at, 'actor', actor,
        'triggering_actor', triggering_actor, 'pulls', pull_request_numbers, 'head_repository', head_repository) end as shown
    from archive.attempts`,
  log_jobs: `
    select job_id, repository_id, run_id, run_attempt, last_listed_attempt, job_name, runner_name, conclusion, started_at, completed_at,
      object::jsonb, array(select other::jsonb from unnest(other_objects) as other order by 1) as others, object_source, object_steps,
      date_trunc('milliseconds', object_received_at) as received_at, array(select unnest(contents) order by 1) as contents,
      case log_state when 'failed' then 'pending' else log_state end as log_state,
      case when log_state = 'absent' then log_reason end as log_reason, expires_at, record_key, rows_loaded_at is null as owed
    from archive.log_jobs`,
  windows: "select repository_id, window_start, window_end from archive.windows",
  full_seconds: "select repository_id, second_start from archive.full_seconds",
  coverage: `
    select to_jsonb(t) - 'logs_pending' - 'logs_failed' || jsonb_build_object('owed', logs_pending + logs_failed) as row
    from audit.coverage t`,
  objects: "select object_key, size_bytes, sha256, sealed_in from archive.objects where object_key <> 'archive.json'",
  seals: "select to_jsonb(t) - 'published_at' - 'is_trusted' from archive.seals t",
  holds: `
    select job_id, is_held, reason, by, os_user, database_user, date_trunc('milliseconds', changed_at) as changed_at
    from archive.holds`,
};

export const auditorTables = ["jobs", "steps", "logs", "sections", "action_uses", "annotations", "permissions", "log_facts"];

/** The rows of the auditor's tables, without the times of loading. */
export async function auditorRows(ask: Ask): Promise<unknown> {
  const rows = auditorTables.map(async (name) => [
    name,
    await ask(`select to_jsonb(t) - 'loaded_at' as row from archive.${name} t order by 1`),
  ]);
  return Object.fromEntries(await Promise.all(rows));
}

/** All other rows of the ledger that follow from the store. */
export async function ledgerRows(ask: Ask): Promise<unknown> {
  const rows = Object.entries(ledger).map(async ([name, query]) => [
    name,
    await ask(`select to_jsonb(row) as row from (${query}) as row order by 1`),
  ]);
  return Object.fromEntries(await Promise.all(rows));
}

export type EmptyDatabase = OpenDatabase & { readonly url: string; readonly ask: Ask };

export async function openEmptyDatabase(): Promise<EmptyDatabase> {
  const database = await openTestDatabase();
  return { ...database, ask: async (query) => (await database.pool.query<Record<string, unknown>>(query)).rows };
}

/**
 * Rebuilds `database` from the harness' store.
 * @param options by default nothing stops it
 */
export async function rebuildInto(
  { db }: Pick<OpenDatabase, "db">,
  { loader }: Harness,
  options: Partial<RebuildOptions> = {},
): ReturnType<typeof rebuild> {
  const { store, log } = loader;
  return rebuild({ db, store, log }, { publicKey: undefined, signal: new AbortController().signal, ...options });
}
