// Adopts seals that the store has and this database lacks: it was restored from a backup, or is being rebuilt, or another database of
// the same archive continued. The chain in the store is authoritative.

import { PermanentError } from "@actions-archive/core/errors";
import { sql } from "kysely";

import type { Actor } from "../connection/actor.ts";
import { lock } from "../connection/locks.ts";
import { type Database, transact } from "../connection/open-database.ts";
import { archiveSchema } from "../connection/schema-name.ts";
import { lockJobs } from "../ledger/log-jobs.ts";
import { recordTerminalStates } from "../ledger/log-states.ts";
import { recordSealedObjects, type StoredObject } from "../ledger/objects.ts";
import { applyTombstones } from "../retention/tombstones.ts";
import { insertSealedLists, type SealedLists } from "./sealed-changes.ts";
import { findHead, findPreparedSeal, publishSeal } from "./seals.ts";

/** Content of a seal that was read from the store; times as text. */
export type SealToAdopt = SealedLists & {
  readonly sealed_at: string;
  readonly previous_sha256: string;
  readonly sha256: string;
  readonly key_id: string;
  readonly next_key_id: string | null;
  readonly entries: readonly StoredObject[];
  /** Who announced its next key, or corrected earlier seals; undefined if it does neither. */
  readonly operator?: (Actor & { readonly reason: string | null }) | undefined;
  /**
   * Whether a trusted key signed the chain. Otherwise anyone who can write to the store could have written the seal, and it must not
   * cause a removal: no log by its tombstones, none by its policies, none whose hold it releases.
   */
  readonly isTrusted: boolean;
};

/**
 * Adopts a seal of the store as the next of the chain, with its objects and lists. A different seal that was prepared under its number
 * is discarded, and its content waits for a later seal. The ledger is unchanged: a database must not adopt a window without its runs.
 * Idempotent.
 * @throws PermanentError `store/corrupt` if it does not follow the head of this database.
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
    const { sequence, sealed_at, previous_sha256, sha256, key_id, next_key_id, entries, operator } = seal;
    await trx
      .insertInto("archive.seals")
      .values({
        sequence,
        sealed_at,
        previous_sha256,
        sha256,
        key_id,
        next_key_id,
        ...(operator && {
          by: operator.by,
          os_user: operator.os_user,
          database_user: operator.database_user,
          reason: operator.reason,
        }),
        entries: entries.length,
        published_at: sql<Date>`now()`,
        is_trusted: seal.isTrusted,
      })
      .execute();
    await recordSealedObjects(trx, sequence, entries);
    await insertSealedLists(trx, seal, { isTrusted: seal.isTrusted, schema: archiveSchema });
    await propagateTombstones(trx, seal);
  });
}

const stampedTables = [
  "objects",
  "windows",
  "attempts",
  "tombstones",
  "holds",
  "retention_policies",
  "damages",
  "removals",
  "retries",
  "backfill_steps",
] as const;

async function dropPrepared(trx: Database, sequence: number): Promise<void> {
  for (const table of stampedTables)
    await sql`update ${sql.table(`archive.${table}`)} set sealed_in = null where sealed_in = ${sequence}`.execute(trx);
  await trx.deleteFrom("archive.seals").where("sequence", "=", sequence).where("published_at", "is", null).execute();
}

async function propagateTombstones(trx: Database, { tombstones }: SealToAdopt): Promise<void> {
  if (tombstones.length === 0) return;
  const jobIds = tombstones.map(({ job_id }) => job_id);
  await lockJobs(trx, jobIds);
  await applyTombstones(trx, jobIds);
  await recordTerminalStates(trx, jobIds);
}
