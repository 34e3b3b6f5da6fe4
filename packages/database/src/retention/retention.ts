// Retention policies: how many days after a job's end its log is kept, by owner or repository. The table is append-only: the newest row
// of a name is in force, a repository's policy overrides its owner's, and without a policy a log is kept indefinitely.

import { type RawBuilder, sql } from "kysely";

import { actorOf, type Ascription } from "../connection/actor.ts";
import { type Database, transact } from "../connection/open-database.ts";
import { heldJobs } from "./holds.ts";

export type PolicyChange = {
  /** owner or owner/name, in lower case. */
  readonly name: string;
  /** Null removes the policy of this name. */
  readonly keepDays: number | null;
};

/**
 * A name counts a week after this archive first saw it, by the database's clock and not by a payload's time, so that a rename or
 * transfer to a shorter retention does not remove logs at once. A repository's first known name counts immediately.
 */
const nameDays = 7;

/** `(name, keep_days)` of the policies in force, as if `change` had been made. */
function policiesInForce(change?: PolicyChange) {
  const changed = change
    ? sql`union all select ${Number.MAX_SAFE_INTEGER}::bigint, ${change.name}::text, ${change.keepDays}::integer`
    : sql``;
  return sql`(
    select name, keep_days
    from (
      select distinct on (name) name, keep_days
      from (select policy_id, name, keep_days from archive.retention_policies ${changed}) as all_policies
      order by name, policy_id desc
    ) as newest
    where keep_days is not null
  )`;
}

/** `(repository_id, full_name, policy, keep_days)` of governed repositories. */
export function governedRepositories(change?: PolicyChange) {
  return sql`(
    select repository_id, full_name, governing.name as policy, governing.keep_days
    from archive.repositories
    cross join lateral (
      select name, keep_days from ${policiesInForce(change)} as in_force
      where name in (lower(full_name), lower(split_part(full_name, '/', 1)))
      order by name = lower(full_name) desc
      limit 1
    ) as governing
    where name_seen_at is null or name_seen_at <= now() - make_interval(days => ${nameDays})
  )`;
}

/**
 * Whether an archived log, a row of archive.logs, ended more than `keepDays` ago. A job's end is from GitHub, or from a webhook, and
 * may be too early. The time of the log's last line, which the runner wrote, bounds it from below, capped at the time of archiving in
 * case the runner's clock is ahead.
 */
export function endsBefore(keepDays: RawBuilder<unknown>) {
  return sql<boolean>`(
    logs.last_line_at is null or least(logs.last_line_at, logs.archived_at) < now() - make_interval(days => ${keepDays})
  )`;
}

export type Policy = {
  name: string;
  keep_days: number;
  changed_at: Date;
  by: string | null;
  reason: string | null;
  repositories: number;
};

/** Policies in force, by name, each with its number of governed repositories. */
export async function listPolicies(db: Database): Promise<Policy[]> {
  const { rows } = await sql<Policy>`
    select name, keep_days, changed_at, by, reason, (select count(*) from ${governedRepositories()} as governed where policy = name) as repositories
    from (
      select distinct on (name) name, keep_days, changed_at, by, reason from archive.retention_policies order by name, policy_id desc
    ) as newest
    where keep_days is not null
    order by name
  `.execute(db);
  return rows;
}

/**
 * Sets or removes a policy. Idempotent.
 * @returns whether it changed something.
 */
export async function changePolicy(
  db: Database,
  { name, keepDays }: PolicyChange,
  { by: named, reason = null }: Ascription = {},
): Promise<boolean> {
  const { by, os_user } = actorOf(named);
  return transact(db, async (trx) => {
    await sql`lock table archive.retention_policies in share row exclusive mode`.execute(trx);
    const { numAffectedRows } = await sql`
      insert into archive.retention_policies (name, keep_days, by, os_user, reason)
      select ${name}, ${keepDays}::integer, ${by}::text, ${os_user}::text, ${reason}::text
      where ${keepDays}::integer is distinct from (
        select keep_days from archive.retention_policies where name = ${name} order by policy_id desc limit 1
      )
    `.execute(trx);
    return numAffectedRows === 1n;
  });
}

export type GovernedRepository = { repository_id: number; repository: string; policy: string; keep_days: number };

export type PlannedRemoval = GovernedRepository & {
  /** Logs that may be removed now. */
  logs: number;
  /** Their stored bytes. */
  bytes: number;
  /** Held logs that are old enough. */
  held: number;
  /** Unsealed logs that are old enough. */
  unsealed: number;
  oldest_completed_at: Date | null;
};

/**
 * What the policies remove now, as if `change` had been made: a row per governed repository, by id. Reads every job of theirs that is
 * old enough, in one statement, since one per repository takes several times as long: some 15 seconds for a million jobs on two cores.
 */
export async function planRemovals(db: Database, change?: PolicyChange): Promise<PlannedRemoval[]> {
  return transact(db, async (trx) => {
    await sql`set local statement_timeout = '30min'`.execute(trx);
    const { rows } = await sql<PlannedRemoval>`
      with governed as materialized (select * from ${governedRepositories(change)} as governed),
      old_enough as (
        select
          jobs.repository_id, completed_at, stored_bytes, jobs.job_id in ${heldJobs} as is_held, seals.sequence is not null as is_sealed
        from governed
        join archive.jobs on jobs.repository_id = governed.repository_id and completed_at < now() - make_interval(days => keep_days)
        join archive.logs on logs.job_id = jobs.job_id and log_state = 'archived' and ${endsBefore(sql`keep_days`)}
        left join archive.objects on object_key = log_key
        left join archive.seals on seals.sequence = objects.sealed_in and published_at is not null
      ),
      counted as (
        select
          repository_id,
          count(*) filter (where not is_held and is_sealed) as logs,
          sum(stored_bytes) filter (where not is_held and is_sealed) as bytes,
          count(*) filter (where is_held) as held,
          count(*) filter (where not is_held and not is_sealed) as unsealed,
          min(completed_at) filter (where not is_held and is_sealed) as oldest_completed_at
        from old_enough
        group by repository_id
      )
      select
        repository_id, full_name as repository, policy, keep_days, coalesce(logs, 0) as logs, coalesce(bytes, 0)::bigint as bytes,
        coalesce(held, 0) as held, coalesce(unsealed, 0) as unsealed, oldest_completed_at
      from governed
      left join counted using (repository_id)
      order by repository_id
    `.execute(trx);
    return rows;
  });
}
