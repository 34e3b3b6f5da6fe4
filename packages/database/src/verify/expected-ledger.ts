// The ledger according to seals and run records, in temporary tables, with which a verifier compares the ledger's rows.

import { sql } from "kysely";

import { type Database, transact } from "../connection/open-database.ts";
import { temporarySchema } from "../connection/schema-name.ts";
import { unnest } from "../connection/unnest.ts";
import { restoreWindows, type SealedAttempt, type SealedWindow, unnestSealedAttempts } from "../rebuild/restore-ledger.ts";
import { insertSealedLists, type SealedLists } from "../seal/sealed-changes.ts";

const tables = [
  "runs",
  "attempts",
  "windows",
  "full_seconds",
  "tombstones",
  "holds",
  "retention_policies",
  "damages",
  "removals",
  "retries",
  "backfill_steps",
] as const;

/**
 * Creates the empty temporary tables of the ledger. They last until the session ends, or `dropLedgerTables`: `db` must be one session.
 */
export async function makeLedgerTables(db: Database): Promise<void> {
  await dropLedgerTables(db);
  for (const table of tables)
    await sql`create temporary table ${sql.id(table)} (like archive.${sql.id(table)} including defaults including generated including identity including indexes)`.execute(
      db,
    );
  await sql`
    create temporary table sealed_attempts (
      run_id bigint,
      run_attempt integer,
      repository_id bigint not null,
      run_created_at timestamptz not null,
      state text not null,
      -- Of the last seal that contains it.
      sequence bigint not null,
      primary key (run_id, run_attempt)
    )
  `.execute(db);
}

export async function dropLedgerTables(db: Database): Promise<void> {
  for (const table of [...tables, "sealed_attempts"]) await sql`drop table if exists pg_temp.${sql.id(table)}`.execute(db);
}

/** The ledger's change in a seal. Times are ISO 8601. */
export type SealedChanges = SealedLists & {
  readonly sealed_at: string;
  readonly ledger: {
    readonly windows: readonly SealedWindow[];
    readonly attempts: readonly SealedAttempt[];
    readonly full_seconds: readonly { repository_id: number; second_start: string }[];
  };
};

/** Adds a seal, after all earlier ones. */
export async function addSealedChanges(db: Database, seal: SealedChanges): Promise<void> {
  const { sequence, sealed_at, ledger } = seal;
  await transact(db, async (trx) => {
    await restoreWindows(trx, { sequence, sealed_at, windows: ledger.windows }, temporarySchema);
    await addSealedAttempts(trx, sequence, ledger.attempts);
    await insertSealedLists(trx, seal, { isTrusted: true, schema: temporarySchema });
    await replaceFullSeconds(trx, ledger.full_seconds);
  });
}

async function addSealedAttempts(trx: Database, sequence: number, attempts: readonly SealedAttempt[]): Promise<void> {
  if (attempts.length === 0) return;
  await sql`
    insert into pg_temp.sealed_attempts (run_id, run_attempt, repository_id, run_created_at, state, sequence)
    select run_id, run_attempt, repository_id, run_created_at, state, ${sequence}::bigint
    from ${unnestSealedAttempts(attempts)}
    on conflict (run_id, run_attempt) do update set
      repository_id = excluded.repository_id, run_created_at = excluded.run_created_at, state = excluded.state, sequence = excluded.sequence
  `.execute(trx);
}

// Each seal has all of them.
async function replaceFullSeconds(trx: Database, seconds: SealedChanges["ledger"]["full_seconds"]): Promise<void> {
  await sql`delete from pg_temp.full_seconds`.execute(trx);
  if (seconds.length === 0) return;
  await sql`
    insert into pg_temp.full_seconds (repository_id, second_start)
    select repository_id, second_start
    from ${unnest<(typeof seconds)[number]>({ repository_id: "bigint", second_start: "timestamptz" }, seconds)}
    on conflict do nothing
  `.execute(trx);
}

/** Postgres does not analyze temporary tables itself, and plans for empty ones. */
export async function analyzeLedgerTables(db: Database): Promise<void> {
  for (const table of [...tables, "sealed_attempts"]) await sql`analyze pg_temp.${sql.id(table)}`.execute(db);
}
