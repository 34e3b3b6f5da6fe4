// Writes the lists of a seal: tombstones, holds, policies, damages, removals, retries and backfill steps. The same statements fill the
// tables of a database that adopts the seal, and the temporary tables that a verifier compares. Times are ISO 8601.

import { sql } from "kysely";

import { type Actor, actorColumns, actorTypes } from "../connection/actor.ts";
import type { Database } from "../connection/open-database.ts";
import type { Schema } from "../connection/schema-name.ts";
import { unnest } from "../connection/unnest.ts";
import { idsOfKey, type StoredObject } from "../ledger/objects.ts";

/** Seals from before these fields have none. */
type SealedActor = { readonly [Column in keyof Actor]?: Actor[Column] | undefined };
export type SealedTombstone = StoredObject &
  SealedActor & {
    job_id: number;
    repository_id: number;
    cause: string;
    reason: string;
    decided_at: string;
  };
export type SealedHold = SealedActor & { job_id: number; is_held: boolean; reason: string | null; changed_at: string };
export type SealedPolicy = SealedActor & {
  name: string;
  keep_days: number | null;
  changed_at: string;
  reason?: string | null | undefined;
};
export type SealedRetry = SealedActor & {
  job_id: number;
  repository_id: number;
  failed_for: string | null;
  retried_at: string;
  reason: string | null;
};
export type SealedBackfillStep = SealedActor & {
  backfill_id: number;
  step: string;
  asked_for: readonly string[];
  repository_ids: readonly number[];
  since: string;
  until: string;
  taken_at: string;
  reason: string | null;
};
export type SealedDamage = { key: string; finding: string; found_at: string; repaired_by: string | null };
export type SealedRemoval = Pick<SealedActor, "database_user"> & {
  runs_before: string;
  removed_at: string;
  runs: number;
  jobs: number;
  closed_gaps: number;
};

/** The lists of a seal. */
export type SealedLists = {
  readonly sequence: number;
  readonly tombstones: readonly SealedTombstone[];
  readonly holds: readonly SealedHold[];
  readonly policies: readonly SealedPolicy[];
  readonly damages: readonly SealedDamage[];
  readonly removals?: readonly SealedRemoval[] | undefined;
  readonly retries?: readonly SealedRetry[] | undefined;
  readonly backfills?: readonly SealedBackfillStep[] | undefined;
};

/**
 * Writes the lists of one seal into the tables of `schema`; call it for each seal in the order of the chain. Idempotent.
 * @param isTrusted whether a trusted key signed the chain. Otherwise no policy and no release of a hold is adopted, since they could
 * remove a log.
 */
export async function insertSealedLists(
  trx: Database,
  seal: SealedLists,
  { isTrusted, schema }: { readonly isTrusted: boolean; readonly schema: Schema },
): Promise<void> {
  const { sequence, holds, policies, damages, removals = [], retries = [], backfills = [] } = seal;
  await insertSealedTombstones(trx, { ...seal, isTrusted }, schema);
  await insertSealedHolds(trx, sequence, isTrusted ? holds : holds.filter(({ is_held }) => is_held), schema);
  await insertSealedPolicies(trx, sequence, isTrusted ? policies : [], schema);
  await insertSealedDamages(trx, sequence, damages, schema);
  await insertSealedRemovals(trx, sequence, removals, schema);
  await insertSealedRetries(trx, sequence, retries, schema);
  await insertSealedBackfills(trx, sequence, backfills, schema);
}

// Of one key the first seal counts.
async function insertSealedTombstones(
  trx: Database,
  { sequence, tombstones, isTrusted }: Pick<SealedLists, "sequence" | "tombstones"> & { readonly isTrusted: boolean },
  schema: Schema,
): Promise<void> {
  const types = {
    key: "text",
    job_id: "bigint",
    repository_id: "bigint",
    version_id: "text",
    size: "bigint",
    sha256: "text",
    cause: "text",
    reason: "text",
    decided_at: "timestamptz",
    ...actorTypes,
  } as const;
  if (tombstones.length === 0) return;
  await sql`
    insert into ${schema}.tombstones (object_key, job_id, repository_id, version_id, size_bytes, sha256, cause, reason, decided_at,
      ${actorColumns}, sealed_in, is_trusted)
    select key, job_id, repository_id, version_id, size, sha256, cause, reason, decided_at, ${actorColumns}, ${sequence}::bigint,
      ${isTrusted}
    from ${unnest<SealedTombstone>(types, tombstones)}
    on conflict (object_key) do update set sealed_in = excluded.sealed_in where tombstones.sealed_in is null
  `.execute(trx);
}

// An existing hold that waits for a seal is the one in the seal, whose times have milliseconds.
async function insertSealedHolds(trx: Database, sequence: number, holds: readonly SealedHold[], schema: Schema): Promise<void> {
  if (holds.length === 0) return;
  const incoming = unnest<SealedHold>(
    { job_id: "bigint", is_held: "boolean", reason: "text", changed_at: "timestamptz", ...actorTypes },
    holds,
  );
  await sql`
    update ${schema}.holds set sealed_in = ${sequence}::bigint
    from ${incoming}
    where holds.sealed_in is null and (holds.job_id, holds.is_held) = (incoming.job_id, incoming.is_held)
      and date_trunc('milliseconds', holds.changed_at) = incoming.changed_at
  `.execute(trx);
  await sql`
    insert into ${schema}.holds (job_id, is_held, reason, changed_at, ${actorColumns}, sealed_in)
    select job_id, is_held, reason, changed_at, ${actorColumns}, ${sequence}::bigint
    from ${incoming}
    where not exists (
      select from ${schema}.holds
      where (holds.job_id, holds.is_held, holds.sealed_in) = (incoming.job_id, incoming.is_held, ${sequence}::bigint)
        and date_trunc('milliseconds', holds.changed_at) = incoming.changed_at
    )
  `.execute(trx);
}

// As `insertSealedHolds`.
async function insertSealedPolicies(
  trx: Database,
  sequence: number,
  policies: readonly SealedPolicy[],
  schema: Schema,
): Promise<void> {
  if (policies.length === 0) return;
  const incoming = unnest<SealedPolicy>(
    { name: "text", keep_days: "integer", changed_at: "timestamptz", reason: "text", ...actorTypes },
    policies,
  );
  await sql`
    update ${schema}.retention_policies as policies set sealed_in = ${sequence}::bigint
    from ${incoming}
    where policies.sealed_in is null and policies.name = incoming.name and policies.keep_days is not distinct from incoming.keep_days
      and date_trunc('milliseconds', policies.changed_at) = incoming.changed_at
  `.execute(trx);
  await sql`
    insert into ${schema}.retention_policies (name, keep_days, changed_at, reason, ${actorColumns}, sealed_in)
    select name, keep_days, changed_at, reason, ${actorColumns}, ${sequence}::bigint
    from ${incoming}
    where not exists (
      select from ${schema}.retention_policies as policies
      where policies.name = incoming.name and policies.sealed_in = ${sequence}::bigint
        and date_trunc('milliseconds', policies.changed_at) = incoming.changed_at
    )
  `.execute(trx);
}

// Of one key the last seal counts; a sealed repair stays.
async function insertSealedDamages(
  trx: Database,
  sequence: number,
  damages: readonly SealedDamage[],
  schema: Schema,
): Promise<void> {
  if (damages.length === 0) return;
  const rows = damages.map((damage) => ({ ...damage, ...idsOfKey(damage.key) }));
  const types = {
    key: "text",
    finding: "text",
    found_at: "timestamptz",
    repaired_by: "text",
    repository_id: "bigint",
    run_id: "bigint",
    job_id: "bigint",
  } as const;
  await sql`
    insert into ${schema}.damages (object_key, finding, found_at, repository_id, job_id, repaired_by, repaired_at, sealed_in)
    select key, finding, found_at, repository_id, job_id, repaired_by, case when repaired_by is not null then found_at end, ${sequence}::bigint
    from ${unnest<(typeof rows)[number]>(types, rows)}
    on conflict (object_key) do update set
      finding = excluded.finding,
      repaired_by = coalesce(excluded.repaired_by, damages.repaired_by),
      repaired_at = coalesce(damages.repaired_at, excluded.repaired_at),
      sealed_in = excluded.sealed_in
  `.execute(trx);
}

// Of one time the last seal counts.
async function insertSealedRemovals(
  trx: Database,
  sequence: number,
  removals: readonly SealedRemoval[],
  schema: Schema,
): Promise<void> {
  if (removals.length === 0) return;
  const types = {
    runs_before: "timestamptz",
    removed_at: "timestamptz",
    runs: "bigint",
    jobs: "bigint",
    closed_gaps: "bigint",
    database_user: "text",
  } as const;
  const incoming = unnest<SealedRemoval>(types, removals);
  const isSame = sql`date_trunc('milliseconds', removals.runs_before) = incoming.runs_before`;
  await sql`
    update ${schema}.removals set removed_at = incoming.removed_at, runs = incoming.runs, jobs = incoming.jobs, closed_gaps = incoming.closed_gaps,
      database_user = incoming.database_user
    from ${incoming}
    where ${isSame} and sealed_in < ${sequence}::bigint
  `.execute(trx);
  await sql`
    insert into ${schema}.removals (runs_before, removed_at, runs, jobs, closed_gaps, database_user)
    select runs_before, removed_at, runs, jobs, closed_gaps, database_user from ${incoming}
    where not exists (select from ${schema}.removals where ${isSame})
  `.execute(trx);
  // Separate, because a change of the counts makes the row wait for a seal, and counts newer than the seal's must wait.
  await sql`
    update ${schema}.removals set sealed_in = ${sequence}::bigint
    from ${incoming}
    where ${isSame} and (removals.runs, removals.jobs, removals.closed_gaps) = (incoming.runs, incoming.jobs, incoming.closed_gaps)
  `.execute(trx);
}

// As `insertSealedHolds`.
async function insertSealedRetries(
  trx: Database,
  sequence: number,
  retries: readonly SealedRetry[],
  schema: Schema,
): Promise<void> {
  if (retries.length === 0) return;
  const types = {
    job_id: "bigint",
    repository_id: "bigint",
    failed_for: "text",
    retried_at: "timestamptz",
    reason: "text",
    ...actorTypes,
  } as const;
  const incoming = unnest<SealedRetry>(types, retries);
  const isSame = sql`retries.job_id = incoming.job_id and date_trunc('milliseconds', retries.retried_at) = incoming.retried_at`;
  await sql`
    update ${schema}.retries set sealed_in = ${sequence}::bigint from ${incoming} where retries.sealed_in is null and ${isSame}
  `.execute(trx);
  await sql`
    insert into ${schema}.retries (job_id, repository_id, failed_for, retried_at, reason, ${actorColumns}, sealed_in)
    select job_id, repository_id, failed_for, retried_at, reason, ${actorColumns}, ${sequence}::bigint
    from ${incoming}
    where not exists (select from ${schema}.retries where ${isSame} and retries.sealed_in = ${sequence}::bigint)
  `.execute(trx);
}

// As `insertSealedHolds`.
async function insertSealedBackfills(
  trx: Database,
  sequence: number,
  steps: readonly SealedBackfillStep[],
  schema: Schema,
): Promise<void> {
  if (steps.length === 0) return;
  const types = {
    backfill_id: "bigint",
    step: "text",
    // Arrays are sent as JSON.
    asked_for: "json",
    repository_ids: "json",
    since: "timestamptz",
    until: "timestamptz",
    taken_at: "timestamptz",
    reason: "text",
    ...actorTypes,
  } as const;
  const incoming = unnest<SealedBackfillStep>(types, steps);
  const isSame = sql`
    (steps.backfill_id, steps.step) = (incoming.backfill_id, incoming.step)
      and date_trunc('milliseconds', steps.taken_at) = incoming.taken_at`;
  await sql`
    update ${schema}.backfill_steps as steps set sealed_in = ${sequence}::bigint
    from ${incoming} where steps.sealed_in is null and ${isSame}
  `.execute(trx);
  await sql`
    insert into ${schema}.backfill_steps (backfill_id, step, asked_for, repository_ids, since, until, taken_at, reason, ${actorColumns}, sealed_in)
    select backfill_id, step, array(select json_array_elements_text(asked_for)),
      array(select json_array_elements_text(repository_ids)::bigint), since, until, taken_at, reason, ${actorColumns}, ${sequence}::bigint
    from ${incoming}
    where not exists (select from ${schema}.backfill_steps as steps where ${isSame} and steps.sealed_in = ${sequence}::bigint)
  `.execute(trx);
}
