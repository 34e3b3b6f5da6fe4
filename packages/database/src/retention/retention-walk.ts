// Applies the policies in a rolling walk over the jobs of each governed repository, oldest first, in pages, so that a turn never reads
// a whole table. A round checks every job that is old enough, even if its log was removed long ago. The next one begins after ten times
// its duration, at least an hour, or at once after a change of a policy.

import { sql } from "kysely";

import { type Database, transact } from "../connection/open-database.ts";
import { endsBefore, governedRepositories, type GovernedRepository } from "./retention.ts";
import { insertTombstones, isSealed, lockArchivedLogs } from "./tombstones.ts";

export type WalkLimits = {
  /** Jobs checked per page. */
  readonly maxChecked: number;
  /** Logs decided per page. */
  readonly maxDecided: number;
};

export type WalkedPage = { readonly repository: string; readonly policy: string; readonly decided: number };

type Position = { repository_id: number; completed_at: string; job_id: number };

/**
 * Decides the next page of the round: logs that are old enough, sealed and not held are removed; the others are checked again in the
 * next round.
 * @returns undefined if no round is due, when one has just ended, or while another process walks.
 */
export async function walkPolicies(db: Database, limits: WalkLimits): Promise<WalkedPage | undefined> {
  return transact(db, async (trx) => {
    const position = await takePosition(trx);
    if (position === undefined) return undefined;
    const repository = await findRepositoryFrom(trx, position.repository_id);
    if (repository === undefined) {
      await trx
        .updateTable("archive.retention_walk")
        .set({ round_ended_at: sql<Date>`now()` })
        .execute();
      return undefined;
    }
    const begin = repository.repository_id === position.repository_id ? position : firstOf(repository.repository_id);
    const { jobIds, next } = await readPage(trx, repository, begin, limits);
    await trx.updateTable("archive.retention_walk").set(next).execute();
    const archived = jobIds.length === 0 ? [] : await lockArchivedLogs(trx, jobIds);
    const logs = archived.filter((log) => !log.is_held && isSealed(log));
    const { policy, keep_days } = repository;
    if (logs.length > 0)
      await insertTombstones(trx, logs, {
        cause: "retention",
        reason: `keep ${keep_days} ${keep_days === 1 ? "day" : "days"} (${policy})`,
        by: "loader",
      });
    return { repository: repository.repository, policy, decided: logs.length };
  });
}

function firstOf(repository_id: number): Position {
  return { repository_id, completed_at: "-infinity", job_id: 0 };
}

/** Position of the round, locked; undefined if none is due, or another process has it. */
async function takePosition(trx: Database): Promise<Position | undefined> {
  const { rows: policies } = await sql<{ newest: number | null }>`
    select max(policy_id) as newest from archive.retention_policies
  `.execute(trx);
  const newest = policies[0]?.newest ?? null;
  if (newest === null) return undefined;
  // Only if there is none: a conflict would wait for the lock of the row.
  await sql`
    insert into archive.retention_walk (policy_id)
    select ${newest} where not exists (select from archive.retention_walk)
    on conflict do nothing
  `.execute(trx);
  const { rows } = await sql<Position & { policy_id: number; is_over: boolean; is_due: boolean }>`
    select
      repository_id, completed_at::text, job_id, policy_id, round_ended_at is not null as is_over,
      coalesce(now() >= round_ended_at + greatest(interval '1 hour', 10 * (round_ended_at - round_began_at)), false) as is_due
    from archive.retention_walk
    for update skip locked
  `.execute(trx);
  const [walk] = rows;
  if (walk === undefined) return undefined;
  if (walk.policy_id === newest && !walk.is_over) return walk;
  if (walk.policy_id === newest && !walk.is_due) return undefined;
  const first = firstOf(0);
  await trx
    .updateTable("archive.retention_walk")
    .set({ ...first, policy_id: newest, round_began_at: sql<Date>`now()`, round_ended_at: null })
    .execute();
  return first;
}

async function findRepositoryFrom(trx: Database, repositoryId: number): Promise<GovernedRepository | undefined> {
  const { rows } = await sql<GovernedRepository>`
    select repository_id, full_name as repository, policy, keep_days
    from ${governedRepositories()} as governed
    where repository_id >= ${repositoryId}
    order by repository_id
    limit 1
  `.execute(trx);
  return rows[0];
}

/** Jobs of the next page that have a log, and where the next page begins. Holds are checked under the lock. */
async function readPage(
  trx: Database,
  { repository_id, keep_days }: GovernedRepository,
  { completed_at, job_id }: Position,
  { maxChecked, maxDecided }: WalkLimits,
): Promise<{ jobIds: number[]; next: Position }> {
  // The first of the two conditions on time uses an index.
  const { rows } = await sql<{ job_id: number; completed_at: string; may_go: boolean }>`
    select page.job_id, page.completed_at::text, logs.log_state = 'archived' and ${endsBefore(sql`${keep_days}::integer`)} as may_go
    from (
      select job_id, completed_at
      from archive.jobs
      where repository_id = ${repository_id}
        and completed_at >= ${completed_at}::timestamptz
        and completed_at < now() - make_interval(days => ${keep_days})
        and (completed_at, job_id) > (${completed_at}::timestamptz, ${job_id}::bigint)
      order by completed_at, job_id
      limit ${maxChecked}
    ) as page
    left join archive.logs on logs.job_id = page.job_id
    order by page.completed_at, page.job_id
  `.execute(trx);
  const going = rows.filter(({ may_go }) => may_go).slice(0, maxDecided);
  const isCut = going.length === maxDecided;
  const last = isCut ? going.at(-1) : rows.at(-1);
  const isEnd = last === undefined || (!isCut && rows.length < maxChecked);
  return {
    jobIds: going.map((job) => job.job_id),
    next: isEnd ? firstOf(repository_id + 1) : { repository_id, completed_at: last.completed_at, job_id: last.job_id },
  };
}
