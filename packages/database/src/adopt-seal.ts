// Seals that the store has and this database does not: it was restored from a backup, or is being rebuilt, or another one of the same
// archive went on. The chain in the store is the one that counts.

import { PermanentError } from "@actions-archive/core/errors";
import { sql } from "kysely";

import { lock } from "./locks.ts";
import { settleLogs } from "./log-states.ts";
import { idsOfKey, noteSealedObjects, type StoredObject } from "./objects.ts";
import { lockJobs } from "./obligations.ts";
import { type Database, transact } from "./open-database.ts";
import { findHead, findPreparedSeal, publishSeal } from "./seals.ts";
import { applyTombstones } from "./tombstones.ts";
import { unnest } from "./unnest.ts";

/** Of a seal that was read from the store, what it says; instants as text. */
export type SealToAdopt = {
  readonly sequence: number;
  readonly sealed_at: string;
  readonly previous_sha256: string;
  readonly sha256: string;
  readonly key_id: string;
  readonly next_key_id: string | null;
  readonly entries: readonly StoredObject[];
  readonly tombstones: readonly Tombstone[];
  readonly holds: readonly Hold[];
  readonly policies: readonly Policy[];
  readonly damages: readonly Damage[];
  /**
   * Whether a key of ours stands for the chain. Where none does, whoever can write the store could have written the seal, and nothing
   * may be removed for what it says: no log by its tombstones, none by its policies, none whose hold it releases.
   */
  readonly isVouchedFor: boolean;
};

type Tombstone = StoredObject & { job_id: number; repository_id: number; cause: string; reason: string; decided_at: string };
type Hold = { job_id: number; is_held: boolean; reason: string | null; changed_at: string };
type Policy = { name: string; keep_days: number | null; changed_at: string };
type Damage = { key: string; finding: string; found_at: string; repaired_by: string | null };

/**
 * Takes a seal of the store over as the next of the chain, with what it holds, its tombstones, holds, policies and damages. What was
 * prepared under its number and says something else, waits for a later seal. The ledger stays as it is: a database that does not have a
 * window's runs must not take the window over. Idempotent.
 * @throws PermanentError `store/corrupt` when it does not follow the head of this database.
 */
export async function adoptSeal(db: Database, seal: SealToAdopt): Promise<void> {
  await transact(db, async (trx) => {
    await lock(trx, "seals");
    const head = await findHead(trx);
    if (head && head.sequence >= seal.sequence) return;
    const follows =
      head === undefined ? seal.sequence === 1 : seal.sequence === head.sequence + 1 && seal.previous_sha256 === head.sha256;
    if (!follows)
      throw new PermanentError(
        "store/corrupt",
        `Seal ${seal.sequence} of the store does not follow seal ${head?.sequence ?? 0} of this database: one of them was changed. Run verify, and keep both.`,
      );
    const prepared = await findPreparedSeal(trx);
    if (prepared?.sha256 === seal.sha256) return publishSeal(trx, prepared);
    if (prepared) await dropPrepared(trx, prepared.sequence);
    const { sequence, sealed_at, previous_sha256, sha256, key_id, next_key_id, entries } = seal;
    await trx
      .insertInto("archive.seals")
      .values({
        sequence,
        sealed_at,
        previous_sha256,
        sha256,
        key_id,
        next_key_id,
        entries: entries.length,
        published_at: sql<Date>`now()`,
      })
      .execute();
    await noteSealedObjects(trx, sequence, entries);
    const { isVouchedFor, holds } = seal;
    await adoptTombstones(trx, seal);
    await adoptHolds(trx, sequence, isVouchedFor ? holds : holds.filter(({ is_held }) => is_held));
    await adoptPolicies(trx, sequence, isVouchedFor ? seal.policies : []);
    await adoptDamages(trx, sequence, seal.damages);
  });
}

const stampedTables = ["objects", "windows", "attempts", "tombstones", "holds", "retention_policies", "damages"] as const;

async function dropPrepared(trx: Database, sequence: number): Promise<void> {
  for (const table of stampedTables)
    await sql`update ${sql.table(`archive.${table}`)} set sealed_in = null where sealed_in = ${sequence}`.execute(trx);
  await trx.deleteFrom("archive.seals").where("sequence", "=", sequence).where("published_at", "is", null).execute();
}

async function adoptTombstones(trx: Database, { sequence, tombstones, isVouchedFor }: SealToAdopt): Promise<void> {
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
  } as const;
  if (tombstones.length === 0) return;
  await sql`
    insert into archive.tombstones (object_key, job_id, repository_id, version_id, size_bytes, sha256, cause, reason, decided_at, sealed_in,
      is_vouched_for)
    select key, job_id, repository_id, version_id, size, sha256, cause, reason, decided_at, ${sequence}::bigint,
      ${isVouchedFor}
    from ${unnest<Tombstone>(types, tombstones)}
    on conflict (object_key) do update set sealed_in = excluded.sealed_in where tombstones.sealed_in is null
  `.execute(trx);
  const jobIds = tombstones.map(({ job_id }) => job_id);
  await lockJobs(trx, jobIds);
  await applyTombstones(trx, jobIds);
  await settleLogs(trx, jobIds);
}

// One that stands here and waits for a seal is the one that the seal carries, whose times have milliseconds.
async function adoptHolds(trx: Database, sequence: number, holds: readonly Hold[]): Promise<void> {
  if (holds.length === 0) return;
  const incoming = unnest<Hold>({ job_id: "bigint", is_held: "boolean", reason: "text", changed_at: "timestamptz" }, holds);
  await sql`
    update archive.holds set sealed_in = ${sequence}::bigint
    from ${incoming}
    where holds.sealed_in is null and (holds.job_id, holds.is_held) = (incoming.job_id, incoming.is_held)
      and date_trunc('milliseconds', holds.changed_at) = incoming.changed_at
  `.execute(trx);
  await sql`
    insert into archive.holds (job_id, is_held, reason, changed_at, sealed_in)
    select job_id, is_held, reason, changed_at, ${sequence}::bigint
    from ${incoming}
    where not exists (
      select from archive.holds
      where (holds.job_id, holds.is_held, holds.sealed_in) = (incoming.job_id, incoming.is_held, ${sequence}::bigint)
        and date_trunc('milliseconds', holds.changed_at) = incoming.changed_at
    )
  `.execute(trx);
}

async function adoptPolicies(trx: Database, sequence: number, policies: readonly Policy[]): Promise<void> {
  if (policies.length === 0) return;
  const incoming = unnest<Policy>({ name: "text", keep_days: "integer", changed_at: "timestamptz" }, policies);
  await sql`
    update archive.retention_policies as policies set sealed_in = ${sequence}::bigint
    from ${incoming}
    where policies.sealed_in is null and policies.name = incoming.name and policies.keep_days is not distinct from incoming.keep_days
      and date_trunc('milliseconds', policies.changed_at) = incoming.changed_at
  `.execute(trx);
  await sql`
    insert into archive.retention_policies (name, keep_days, changed_at, sealed_in)
    select name, keep_days, changed_at, ${sequence}::bigint
    from ${incoming}
    where not exists (
      select from archive.retention_policies as policies
      where policies.name = incoming.name and policies.sealed_in = ${sequence}::bigint
        and date_trunc('milliseconds', policies.changed_at) = incoming.changed_at
    )
  `.execute(trx);
}

async function adoptDamages(trx: Database, sequence: number, damages: readonly Damage[]): Promise<void> {
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
    insert into archive.damages (object_key, finding, found_at, repository_id, job_id, repaired_by, repaired_at, sealed_in)
    select key, finding, found_at, repository_id, job_id, repaired_by, case when repaired_by is not null then found_at end, ${sequence}::bigint
    from ${unnest<(typeof rows)[number]>(types, rows)}
    on conflict (object_key) do update set
      finding = excluded.finding,
      repaired_by = coalesce(excluded.repaired_by, damages.repaired_by),
      repaired_at = coalesce(damages.repaired_at, excluded.repaired_at),
      sealed_in = excluded.sealed_in
  `.execute(trx);
}
