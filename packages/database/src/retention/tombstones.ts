// Removal of logs: first the row and the tombstone, in one transaction; then the tombstone in a published seal; then the object. A
// tombstone is permanent: the rows of its job say `absent`, `removed` from then on, whatever is loaded later.

import { tryParseKey } from "@actions-archive/core/object-key";
import type { AbsentReason } from "@actions-archive/core/states";
import { sql } from "kysely";

import { actorColumns, actorOf } from "../connection/actor.ts";
import type { Database } from "../connection/open-database.ts";
import { archiveSchema, type Schema } from "../connection/schema-name.ts";
import { unnest } from "../connection/unnest.ts";
import { lockJobs } from "../ledger/log-jobs.ts";
import { recordTerminalStates } from "../ledger/log-states.ts";
import { heldJobs } from "./holds.ts";

export type Removal = {
  readonly cause: "erase" | "retention";
  /** The operator's words, or the policy. */
  readonly reason: string;
  /** Who decided it; by default the operating system's login. */
  readonly by?: string | undefined;
};

/** An object of a job's logs: the one that its row names, or an extra log. */
export type LogObject = {
  object_key: string;
  version_id: string | null;
  size_bytes: number;
  sha256: string;
  /** Contained in a published seal. */
  is_sealed: boolean;
};

export type RemovableLog = {
  job_id: number;
  repository_id: number;
  log_key: string | null;
  is_held: boolean;
  /** Those that the loader has recorded. */
  objects: LogObject[];
};

/**
 * Archived logs of these jobs and their objects, locked for the rest of the transaction against loads, holds and removals. Jobs without
 * an archived log are omitted.
 */
export async function lockArchivedLogs(trx: Database, jobIds: readonly number[]): Promise<RemovableLog[]> {
  await lockJobs(trx, jobIds);
  await sql`
    select from archive.logs
    where job_id = any(${sql.val(jobIds)}::bigint[]) and log_state = 'archived'
    order by job_id
    for no key update
  `.execute(trx);
  // A separate statement, so that it sees what others committed while this one waited for the locks.
  const folder = sql`'logs/' || host || '/' || jobs.repository_id || '/' || jobs.run_id || '/' || jobs.job_id`;
  const { rows } = await sql<RemovableLog>`
    select
      logs.job_id, jobs.repository_id, logs.log_key, logs.job_id in ${heldJobs} as is_held,
      coalesce((
        select json_agg(json_build_object(
          'object_key', object_key, 'version_id', objects.version_id, 'size_bytes', size_bytes, 'sha256', objects.sha256,
          'is_sealed', seals.sequence is not null) order by object_key)
        from archive.objects
        left join archive.seals on seals.sequence = objects.sealed_in and published_at is not null
        -- The range of keys with the job's prefix.
        where object_key > (${folder} || '.') collate "C" and object_key < (${folder} || '/') collate "C"
      ), '[]') as objects
    from archive.logs
    join archive.jobs on jobs.job_id = logs.job_id
    cross join archive.identity
    where logs.job_id = any(${sql.val(jobIds)}::bigint[]) and log_state = 'archived'
    order by logs.job_id
  `.execute(trx);
  return rows;
}

/** True if every object of the log is in a published seal, including the one that its row names. */
export function isSealed({ log_key, objects }: Pick<RemovableLog, "log_key" | "objects">): boolean {
  return objects.every(({ is_sealed }) => is_sealed) && objects.some(({ object_key }) => object_key === log_key);
}

/** Writes tombstones for these logs, and updates their rows. They must be locked, sealed and not held. Idempotent. */
export async function insertTombstones(trx: Database, logs: readonly RemovableLog[], removal: Removal): Promise<void> {
  const tombstones = logs.flatMap(({ job_id, repository_id, objects }) =>
    objects.map(({ is_sealed: _sealed, ...object }) => ({ ...object, job_id, repository_id })),
  );
  await insertTombstoneRows(trx, tombstones, removal);
  const jobIds = logs.map(({ job_id }) => job_id);
  await applyTombstones(trx, jobIds);
  await recordTerminalStates(trx, jobIds);
}

type NewTombstone = Omit<LogObject, "is_sealed"> & { job_id: number; repository_id: number };

const tombstoneTypes = {
  object_key: "text",
  job_id: "bigint",
  repository_id: "bigint",
  version_id: "text",
  size_bytes: "bigint",
  sha256: "text",
} as const;

async function insertTombstoneRows(trx: Database, tombstones: readonly NewTombstone[], removal: Removal): Promise<void> {
  const { cause, reason } = removal;
  const { by, os_user } = actorOf(removal.by);
  for (const { object_key, job_id } of tombstones) assertOwnLog(object_key, job_id);
  await sql`
    insert into archive.tombstones (object_key, job_id, repository_id, version_id, size_bytes, sha256, cause, reason, by, os_user)
    select object_key, job_id, repository_id, version_id, size_bytes, sha256, ${cause}, ${reason}, ${by}, ${os_user}
    from ${unnest<NewTombstone>(tombstoneTypes, tombstones)}
    order by object_key
    on conflict (object_key) do nothing
  `.execute(trx);
}

function assertOwnLog(key: string, jobId: number): void {
  if (!isOwnLog(key, jobId)) throw new TypeError(`${key} is no log of job ${jobId}`);
}

function isOwnLog(key: string, jobId: number): boolean {
  const parsed = tryParseKey(key);
  return parsed?.kind === "log" && parsed.job_id === jobId;
}

/** A log that a record names. */
export type NamedLog = {
  readonly job_id: number;
  readonly repository_id: number;
  readonly log: {
    readonly key: string;
    readonly version_id: string | null;
    readonly stored_bytes: number;
    readonly stored_sha256: string;
  };
};

/**
 * Removes logs that records name after their job's log was removed, for the same reason: a worker had them in flight. A log under an
 * already removed key is checked once more. Call it in the transaction that loads these records. Idempotent.
 */
export async function propagateTombstones(trx: Database, named: readonly NamedLog[]): Promise<void> {
  const rows = named
    .filter(({ job_id, log }) => isOwnLog(log.key, job_id))
    .map(({ job_id, repository_id, log }) => ({
      object_key: log.key,
      job_id,
      repository_id,
      version_id: log.version_id,
      size_bytes: log.stored_bytes,
      sha256: log.stored_sha256,
    }));
  if (rows.length === 0) return;
  await sql`
    insert into archive.tombstones as known (object_key, job_id, repository_id, version_id, size_bytes, sha256, cause, reason,
      ${actorColumns}, is_trusted)
    select distinct on (object_key)
      incoming.object_key, incoming.job_id, incoming.repository_id, incoming.version_id, incoming.size_bytes, incoming.sha256,
      earlier.cause, earlier.reason, earlier.by, earlier.os_user, earlier.database_user, earlier.is_trusted
    from ${unnest<NewTombstone>(tombstoneTypes, rows)}
    cross join lateral (
      select cause, reason, ${actorColumns}, is_trusted from archive.tombstones
      where tombstones.job_id = incoming.job_id
      order by is_trusted desc, decided_at, object_key
      limit 1
    ) as earlier
    order by object_key
    on conflict (object_key) do update set due_at = now() where known.due_at is null
  `.execute(trx);
}

/**
 * Marks the logs of jobs with a tombstone as removed, and deletes the rows that quote their text. Call it after everything else that
 * writes their rows. Idempotent.
 */
export async function applyTombstones(trx: Database, jobIds: readonly number[]): Promise<void> {
  const { rows } = await sql<{ job_id: number }>`
    select distinct job_id from archive.tombstones where job_id = any(${sql.val(jobIds)}::bigint[]) order by job_id
  `.execute(trx);
  if (rows.length === 0) return;
  await writeRemovals(
    trx,
    rows.map(({ job_id }) => job_id),
  );
}

/** Marks the logs of these jobs as removed. Idempotent. */
export async function writeRemovals(trx: Database, jobIds: readonly number[], schema: Schema = archiveSchema): Promise<void> {
  const removed: AbsentReason = "removed";
  const ofJobs = sql`job_id = any(${sql.val(jobIds)}::bigint[])`;
  await sql`
    update ${schema}.logs set
      log_state = 'absent',
      log_reason = ${removed},
      log_flags = '{}',
      copied_from_job_id = null,
      log_key = null,
      log_version_id = null,
      raw_bytes = null,
      raw_sha256 = null,
      stored_bytes = null,
      stored_sha256 = null,
      lines = null,
      first_line_at = null,
      last_line_at = null,
      archived_at = null
    where ${ofJobs} and log_state = 'archived'
  `.execute(trx);
  await sql`delete from ${schema}.annotations where ${ofJobs}`.execute(trx);
  await sql`
    update ${schema}.log_facts set annotations_left_out = null
    where ${ofJobs} and annotations_left_out is not null
  `.execute(trx);
}

/** Those of these jobs with a tombstone that no seal up to `sequence` contains. */
export async function listUnsealedRemovals(trx: Database, jobIds: readonly number[], sequence: number): Promise<number[]> {
  const { rows } = await sql<{ job_id: number }>`
    select distinct job_id from archive.tombstones
    where job_id = any(${sql.val(jobIds)}::bigint[]) and (sealed_in is null or sealed_in > ${sequence})
  `.execute(trx);
  return rows.map(({ job_id }) => job_id);
}
